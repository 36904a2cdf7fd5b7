"""A corpus of passages and its search by BM25: what open-book questions, or a model with a search tool, may look up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from evalharness.data.options import CorpusOptions
from evalharness.data.passages import Passage, read_passages
from evalharness.data.settings import SourceSettings
from evalharness.data.split import Source
from evalharness.errors import ServiceError
from evalharness.hashing import canonical_json, sha256_text

__all__ = ["Corpus", "CorpusOptions", "Hit", "load_corpus"]

VERSION = 1
"""Raised with every change of what is found; part of the fingerprint."""

_WORD = re.compile(r"\w+")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "a an and are as at be but by for if in into is it no not of on or such that the their then there these they "
        "this to was will with"
    )
)
"""Lucene's English ones, which say nothing of what a passage is about."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found."""

    id: str
    """Hash of its title and text."""
    title: str
    """Empty where it has none."""
    text: str
    score: float
    """By BM25; above 0, and the higher the better."""


class Corpus:
    """Passages in the order of their titles and texts, each once, with an index of their words.

    A passage's score is the sum over the words t of the query, each as often as it stands there, of::

        ln(1 + (N - n(t) + 0.5) / (n(t) + 0.5)) * f(t) / (f(t) + k1 * (1 - b + b * length / mean length))

    N passages, n(t) of them with t, f(t) times in this one; lengths in words (BM25 as Lucene has it: Kamphuis et al.
    2020, doi:10.1007/978-3-030-45442-5_4). Words are what letters, digits and underscores make up, of title and text,
    without case; Lucene's English stop words are left out, and nothing is stemmed.
    """

    def __init__(self, passages: Sequence[Passage], sources: Sequence[Source] = (), k1: float = 0.9, b: float = 0.4):
        self.passages = tuple(sorted(set(passages)))
        self.sources = tuple(sources)
        self._index = _indexed(self.passages, k1, b)
        self.fingerprint = sha256_text(
            canonical_json(
                [
                    {"version": VERSION, "k1": k1, "b": b, "stop_words": sorted(_STOP_WORDS)},
                    [[passage.title, passage.text] for passage in self.passages],
                ]
            )
        )
        """sha256 of the passages and of how they are searched: equal ones find the same."""

    def __len__(self) -> int:
        return len(self.passages)

    def search(self, query: str, k: int) -> list[Hit]:
        """The `k` best passages, the best first; equally good ones in the corpus's order.

        Fewer than `k` where fewer share a word with the query.
        """
        import numpy as np

        words = self._index.get_tokens_ids(_words(query)) if self._index else []
        if not words:
            return []
        scores = self._index.get_scores_from_ids(words)
        found = np.flatnonzero(scores > 0)
        if len(found) > k:
            found = found[scores[found] >= np.partition(scores[found], -k)[-k]]
        best = found[np.argsort(-scores[found], kind="stable")][:k]
        return [self._hit(self.passages[place], float(scores[place])) for place in best.tolist()]

    def _hit(self, passage: Passage, score: float) -> Hit:
        return Hit(id=passage.id, title=passage.title, text=passage.text, score=score)


def load_corpus(options: CorpusOptions, settings: SourceSettings | None = None, base_dir: Path = Path()) -> Corpus:
    """The corpus that `options` describe. One process indexes the same passages once.

    Args:
        base_dir: folder from which files of its sources are looked up.

    Raises:
        MissingDataError: a source is nowhere: a corpus that lacks a part would be another one.
        DataError: a source is malformed or has no passages, or no corpus has the wanted name.
        ServiceError: the package bm25s is not installed.
    """
    passages, sources = read_passages(options, settings or SourceSettings(), base_dir)
    return Corpus(passages, sources, options.k1, options.b)


@lru_cache(maxsize=4)
def _indexed(passages: tuple[Passage, ...], k1: float, b: float) -> Any:
    """The index of bm25s; None where no passage has a word."""
    try:
        import bm25s
    except ImportError:
        raise ServiceError(
            "searching a corpus needs the package 'bm25s'; install it with pip install 'evalharness[retrieval]'."
        ) from None
    index = bm25s.BM25(method="lucene", k1=k1, b=b, backend="numpy")
    vocabulary: dict[str, int] = {}
    ids = [
        [vocabulary.setdefault(word, len(vocabulary)) for word in _words(f"{passage.title} {passage.text}")]
        for passage in passages
    ]
    if not vocabulary:  # bm25s divides by the mean length
        return None
    index.index((ids, vocabulary), show_progress=False)
    return index


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS]
