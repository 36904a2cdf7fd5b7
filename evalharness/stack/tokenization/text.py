"""Text to token ids and back, over the `tokenizers` library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from evalharness.stack.errors import CheckpointError

SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


class TextTokenizer:
    """A tokenizer with the few facts about its special tokens that a harness needs.

    `encode` adds no BOS or EOS by itself; a text that spells a special token becomes that token.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        special_tokens: Mapping[str, str],
        add_bos: bool,
        chat_template: str | None = None,
    ) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.tokenizer = tokenizer
        self.special_tokens = dict(special_tokens)
        """Names that chat templates use to texts: ``bos_token``, ``eos_token``, ..."""
        self.chat_template = chat_template
        """Jinja2 source, or None."""
        self.bos_id: int | None = self._id_of("bos_token")
        self.eos_id: int | None = self._id_of("eos_token")
        self.add_bos = add_bos and self.bos_id is not None
        """Whether the model expects a BOS before a plain text."""

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of what decides the ids: the whole tokenizer, its BOS, and whether that is put first."""
        facts = json.dumps([self.tokenizer.to_str(), self.bos_id, self.add_bos])
        return hashlib.sha256(facts.encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without BOS or EOS."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of many texts, encoded in parallel."""
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids; special tokens are left out, bytes that are no UTF-8 become U+FFFD."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    def _id_of(self, name: str) -> int | None:
        text = self.special_tokens.get(name)
        return None if text is None else self.tokenizer.token_to_id(text)


def from_folder(folder: Path) -> TextTokenizer:
    """The tokenizer of a Hugging Face folder: ``tokenizer.json`` and, where there is one, ``tokenizer_config.json``.

    A plain text gets a BOS where ``add_bos_token`` says so or, without that key, where the post-processor of
    ``tokenizer.json`` puts one.

    Raises:
        CheckpointError: no ``tokenizer.json``, or one that cannot be read.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise CheckpointError(
            f"{folder} has no tokenizer.json; save the tokenizer in the fast format (AutoTokenizer.save_pretrained)."
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise CheckpointError(f"{path} cannot be read as a tokenizer: {error}.") from None
    values = read_json(folder / "tokenizer_config.json")
    special_tokens = {name: _text(values[name]) for name in SPECIAL_NAMES if values.get(name)}
    add_bos = values.get("add_bos_token")
    if add_bos is None:
        first = tokenizer.encode("a", add_special_tokens=True).ids[:1]
        add_bos = first == [tokenizer.token_to_id(special_tokens.get("bos_token", ""))]
    return TextTokenizer(
        tokenizer,
        special_tokens=special_tokens,
        add_bos=add_bos,
        chat_template=_chat_template(folder, values.get("chat_template")),
    )


def write_tokenizer(folder: Path, tokenizer: TextTokenizer, *, max_length: int | None = None) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json`` as transformers reads them.

    `max_length` is the longest text, in tokens, that the tokenizer's model takes.
    """
    tokenizer.tokenizer.save(str(folder / "tokenizer.json"))
    values: dict[str, Any] = {name: tokenizer.special_tokens.get(name) for name in SPECIAL_NAMES}
    values = {name: text for name, text in values.items() if text is not None}
    values |= {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": tokenizer.add_bos,
        "clean_up_tokenization_spaces": False,
    }
    if max_length is not None:
        values["model_max_length"] = max_length
    if tokenizer.chat_template is not None:
        values["chat_template"] = tokenizer.chat_template
    write_json(folder / "tokenizer_config.json", values)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """A JSON object as a file that people read."""
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty where there is no file.

    Raises:
        CheckpointError: the file is not a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds a {type(values).__name__}; a JSON object is needed.")
    return values


def _text(token: str | Mapping[str, Any]) -> str:
    return token if isinstance(token, str) else str(token["content"])


def _chat_template(folder: Path, value: str | list[Mapping[str, str]] | None) -> str | None:
    """A template in a file of its own wins; of several by name it is ``default``."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    if isinstance(value, list):
        return next((entry["template"] for entry in value if entry["name"] == "default"), None)
    return value
