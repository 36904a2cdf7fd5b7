"""The folder of a trained tokenizer: Hugging Face's two files, and a card that says what it was learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evalharness.stack.new_folder import new_folder
from evalharness.stack.tokenization.options import TokenizerOptions
from evalharness.stack.tokenization.text import write_json, write_tokenizer
from evalharness.stack.tokenization.text_files import TextFile
from evalharness.stack.tokenization.text_reading import Reading
from evalharness.stack.tokenization.train import Trained

CARD = "training_card.json"
FORMAT = 1


def write_trained(
    target: Path, trained: Trained, files: Sequence[TextFile], options: TokenizerOptions, reading: Reading, version: str
) -> None:
    """Write ``tokenizer.json``, ``tokenizer_config.json`` and ``training_card.json``; nothing in them tells the time or
    the place, so equal inputs give equal bytes. `version` is the harness's own.

    Raises:
        CheckpointError: `target` exists and is not an empty folder.
    """
    with new_folder(target) as folder:
        write_tokenizer(folder, trained.tokenizer)
        write_json(folder / CARD, _card(trained, files, options, reading, version))


def _card(
    trained: Trained, files: Sequence[TextFile], options: TokenizerOptions, reading: Reading, version: str
) -> dict[str, Any]:
    import tokenizers

    tokenizer = trained.tokenizer
    inputs = [
        {"name": file.name, "domain": file.domain, "sha256": file.sha256(), **asdict(counts)}
        for file, counts in zip(files, trained.counts, strict=True)
    ]
    summed = ("documents", "empty_documents", "characters", "bytes", "broken", "long_lines")
    return {
        "format": FORMAT,
        "options": options.model_dump(mode="json"),
        "reading": asdict(reading),
        "inputs": inputs,
        "totals": {key: sum(getattr(counts, key) for counts in trained.counts) for key in summed},
        "vocabulary": {
            "asked": options.tokens,
            "size": tokenizer.tokenizer.get_vocab_size(),
            "special_tokens": {text: tokenizer.tokenizer.token_to_id(text) for text in options.all_special_tokens},
        },
        "fingerprint": tokenizer.fingerprint,
        "versions": {"evalharness": version, "tokenizers": tokenizers.__version__},
    }
