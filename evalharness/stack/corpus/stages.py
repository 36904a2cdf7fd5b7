"""What happens to one document by itself: filters, its hashes, benchmarks in it, its tokens. Copies are found later.

Everything here is computed by workers; a result depends on the document alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from evalharness.stack.corpus.decontamination import Benchmarks, pieces_without
from evalharness.stack.corpus.deduplication import Signature, exact_hash, signature
from evalharness.stack.corpus.documents import Document
from evalharness.stack.corpus.encoding import Encoder, Ids, load_encoder
from evalharness.stack.corpus.filters import removed_by
from evalharness.stack.corpus.options import PipelineOptions
from evalharness.stack.corpus.words import word_hashes

BROKEN, EMPTY, CONTAMINATED = "broken", "empty", "contaminated"


@dataclass(frozen=True, slots=True)
class Processed:
    """A document after everything that it takes no other document for."""

    document: Document
    """Without its text."""
    removed: str | None = None
    """Why it goes, whatever it may be a copy of; None where it stays or is contaminated."""
    exact: bytes = b""
    signature: Signature | None = None
    items: tuple[int, ...] = ()
    """Benchmark items in it."""
    pieces: tuple[Ids, ...] = ()
    """The ids of it or, where spans were cut out, of what is left."""
    characters: int = 0
    size: int = 0
    """Characters and UTF-8 bytes of the pieces."""


@dataclass
class Stages:
    """The stages of a pipeline, for a worker to build once."""

    options: PipelineOptions
    base: Path
    benchmarks: Benchmarks | None
    encoder: Encoder = field(init=False)

    def __post_init__(self) -> None:
        self.encoder = load_encoder(self.options.tokenizer, self.base, self.options.end_token)

    def process(self, documents: Sequence[Document]) -> list[Processed]:
        """What becomes of documents, in their order."""
        return [self._process(document) for document in documents]

    def _process(self, document: Document) -> Processed:
        text, named = document.text, replace(document, text=None)
        if text is None:
            return Processed(named, removed=BROKEN)
        if not text.strip():
            return Processed(named, removed=EMPTY)
        if rule := removed_by(text, self.options.filters):
            return Processed(named, removed=rule)
        near = self.options.deduplication.near
        words = word_hashes(text) if near or self.benchmarks else None
        items: tuple[int, ...] = ()
        texts = [text]
        decontamination = self.options.decontamination
        if self.benchmarks and decontamination and words is not None and (hits := self.benchmarks.hits(words)):
            items, texts = hits.items, pieces_without(text, hits, decontamination)
        return Processed(
            named,
            exact=exact_hash(text),
            signature=signature(words, near) if near and words is not None else None,
            items=items,
            pieces=tuple(self.encoder.encode(piece) for piece in texts),
            characters=sum(map(len, texts)),
            size=sum(len(piece.encode("utf-8")) for piece in texts),
        )
