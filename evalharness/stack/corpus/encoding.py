"""A document's text as token ids, by a tokenizer's folder or as bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evalharness.stack.errors import CorpusError

if TYPE_CHECKING:
    from evalharness.stack.tokenization.text import TextTokenizer

BYTES = "bytes"
BYTES_END = "<|endoftext|>"
AT_ONCE = 1_000_000
"""Characters that a tokenizer is handed at once: a longer text is cut before a word, or its memory would be many
times the text's."""
_WORD_START = re.compile(r"(?<=\S)\s")

Ids = NDArray[np.unsignedinteger]


@dataclass(frozen=True, slots=True)
class Encoder:
    """What makes ids of texts, with the facts that shards keep of it."""

    tokenizer: TextTokenizer | None
    """None for bytes: the id of a byte is its value."""
    vocab_size: int
    """One more than the largest id."""
    end_id: int
    """The id after each document."""
    fingerprint: str

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest of uint16 and uint32 that holds the vocabulary, little-endian."""
        return np.dtype("<u2") if self.vocab_size <= 1 << 16 else np.dtype("<u4")

    def encode(self, text: str) -> Ids:
        """Ids of a document with the one that ends it. A text that spells a special token is a text."""
        if self.tokenizer is None:
            ids = np.frombuffer(text.encode("utf-8"), dtype=np.uint8).astype(self.dtype)
            return np.append(ids, self.dtype.type(self.end_id))
        parts = [part for block in _blocks(text) for part in self.tokenizer.encode(block)]
        return np.array([*parts, self.end_id], dtype=self.dtype)

    def decode(self, ids: Ids) -> str:
        """The text of a document's ids, without its end."""
        kept = [int(value) for value in ids if value != self.end_id]
        if self.tokenizer is None:
            return bytes(kept).decode("utf-8", "replace")
        return self.tokenizer.decode(kept)


def load_encoder(name: str, base: Path, end_token: str | None) -> Encoder:
    """The encoder that a pipeline names: ``bytes``, or a folder with tokenizer.json.

    Raises:
        CheckpointError: the folder holds no tokenizer that can be read.
        CorpusError: no token ends a document.
    """
    if name == BYTES:
        if end_token not in (None, BYTES_END):
            raise CorpusError(f"end_token: bytes has one special token, {BYTES_END}; leave end_token out.")
        return Encoder(None, 257, 256, "bytes+end")
    from evalharness.stack.tokenization.text import from_folder

    tokenizer = from_folder(base / name)
    end_id = tokenizer.eos_id if end_token is None else tokenizer.tokenizer.token_to_id(end_token)
    if end_id is None:
        missing = "has no EOS token" if end_token is None else f"has no token '{end_token}'"
        raise CorpusError(f"tokenizer: {base / name} {missing}; name one of its tokens with end_token.")
    fingerprint = f"{tokenizer.fingerprint}+{end_id}"
    # Else a document that spells the end of a document would be two.
    tokenizer.tokenizer.encode_special_tokens = True
    size = max(tokenizer.tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    return Encoder(tokenizer, size, end_id, fingerprint)


def _blocks(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > AT_ONCE:
        cut = _WORD_START.search(text, start + AT_ONCE - AT_ONCE // 10, start + AT_ONCE)
        end = cut.start() if cut else start + AT_ONCE
        yield text[start:end]
        start = end
    yield text[start:]
