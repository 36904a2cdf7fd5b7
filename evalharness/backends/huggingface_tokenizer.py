"""Tokenizers of the library `transformers` as the harness uses them: `evalharness.types.Tokenizer`.

Importing this module loads neither `transformers` nor `tokenizers`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evalharness.backends.huggingface_errors import library_errors
from evalharness.types import Tokenizer

_NOT_OF_IDS = ("tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
"""Files of a saved tokenizer that say nothing of how a text is cut."""


def load_tokenizer(spec: str, *, revision: str | None, trust_remote_code: bool, place: str) -> Any:
    """The library's tokenizer of a folder or a name on the hub; `place` begins the sentences of what goes wrong.

    Raises:
        UsageError, ServiceError, DataError: see `library_errors`.
    """
    with library_errors(place):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(spec, revision=revision, trust_remote_code=trust_remote_code)


def wrap(tokenizer: Any) -> Tokenizer:
    """A tokenizer of the library behind the harness's protocol.

    A plain text gets a BOS where the tokenizer itself puts one first. The tokenizer is copied where it can be: what
    its owner sets on it later (padding, truncation) changes nothing here. Spaces are decoded as they are, whatever
    ``clean_up_tokenization_spaces`` says.
    """
    special_tokens = {
        name: str(token)
        for name, token in tokenizer.special_tokens_map.items()
        if not isinstance(token, list | tuple | dict)
    }
    add_bos = _added(tokenizer)[:1] == [tokenizer.bos_token_id]
    template = _chat_template(tokenizer)
    if (backend := _copy(tokenizer)) is None:
        return PythonTokenizer(tokenizer, special_tokens=special_tokens, add_bos=add_bos, chat_template=template)
    from evalharness.stack.tokenization.text import TextTokenizer

    return TextTokenizer(backend, special_tokens=special_tokens, add_bos=add_bos, chat_template=template)


def appends_eos(tokenizer: Any) -> bool:
    """Whether a tokenizer of the library puts an EOS behind a plain text, as those of encoder-decoder models do."""
    return tokenizer.eos_token_id is not None and _added(tokenizer)[-1:] == [tokenizer.eos_token_id]


class PythonTokenizer:
    """A tokenizer that is no `tokenizers.Tokenizer` inside; made by `wrap`."""

    def __init__(
        self, tokenizer: Any, *, special_tokens: dict[str, str], add_bos: bool, chat_template: str | None
    ) -> None:
        self._tokenizer = tokenizer
        self.special_tokens = special_tokens
        self.bos_id: int | None = tokenizer.bos_token_id
        self.eos_id: int | None = tokenizer.eos_token_id
        self.add_bos = add_bos and self.bos_id is not None
        self.chat_template = chat_template

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the tokenizer's class, the files that it is saved as, its BOS and whether that is put first."""
        with TemporaryDirectory() as folder:
            self._tokenizer.save_pretrained(folder)
            files = {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(Path(folder).iterdir())
                if path.is_file() and path.name not in _NOT_OF_IDS
            }
        facts = json.dumps([type(self._tokenizer).__name__, files, self.bos_id, self.add_bos])
        return hashlib.sha256(facts.encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without BOS or EOS."""
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids; special tokens are left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _added(tokenizer: Any) -> list[int]:
    """Ids of a short text with whatever the tokenizer puts around one."""
    return list(tokenizer("a", add_special_tokens=True)["input_ids"])


def _copy(tokenizer: Any) -> Any:
    """The `tokenizers.Tokenizer` inside, copied; None where there is none, or parts of it are written in Python."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not tokenizer.is_fast or backend is None:
        return None
    try:
        return type(backend).from_str(backend.to_str())
    except Exception:  # the library raises bare Exception
        return None


def _chat_template(tokenizer: Any) -> str | None:
    """Of several by name it is ``default``."""
    template = tokenizer.chat_template
    return template.get("default") if isinstance(template, dict) else template
