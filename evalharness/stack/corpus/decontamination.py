"""Documents that hold items of benchmarks: n words in a row that are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalharness.stack.corpus.options import DecontaminationOptions
from evalharness.stack.corpus.words import Hashes, ngram_hashes, word_hashes, word_spans

Numbers = NDArray[np.int64]
PERCENTILE = 5
"""Of a task's lengths in words, for the n that it is looked for by (GPT-3)."""


class BenchmarkItem(NamedTuple):
    """A sample of a task with every text that it asks and answers."""

    task: str
    id: str
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """How a task is looked for."""

    ngram: int
    items: int
    too_short: int
    """Items with no text of so many words: they are not looked for."""


@dataclass(frozen=True, slots=True)
class _Table:
    """The n-grams of all tasks that are looked for by one n, sorted, and which items each is of."""

    n: int
    ngrams: Hashes
    starts: Numbers
    """`items[starts[i] : starts[i + 1]]` are the items of n-gram i."""
    items: Numbers
    needed: Numbers
    """By item, how many of its different n-grams a document must hold; of an item of another table, one too many."""


@dataclass(frozen=True, slots=True)
class Hits:
    """What a document holds of benchmarks."""

    items: tuple[int, ...]
    """Positions in `Benchmarks.items`."""
    spans: tuple[tuple[int, int], ...]
    """First and last word, from and to, of each n-gram of theirs."""


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """The items of tasks, ready to be looked for."""

    items: tuple[tuple[str, str], ...]
    """Task and id."""
    tasks: dict[str, TaskFacts]
    tables: tuple[_Table, ...]

    @property
    def fingerprint(self) -> str:
        """sha256 of what is looked for and how."""
        digest = hashlib.sha256(repr((self.items, sorted(self.tasks.items()))).encode())
        for table in self.tables:
            for array in (table.ngrams, table.starts, table.items, table.needed):
                digest.update(array.tobytes())
        return digest.hexdigest()

    def hits(self, words: Hashes) -> Hits | None:
        """The items that a document of these words holds; None for none."""
        found: list[int] = []
        spans: list[tuple[int, int]] = []
        for table in self.tables:
            here = ngram_hashes(words, table.n)
            if not len(here) or not len(table.ngrams):
                continue
            place = np.minimum(np.searchsorted(table.ngrams, here), len(table.ngrams) - 1)
            same = table.ngrams[place] == here
            if not same.any():
                continue
            matched = np.unique(place[same])
            of_each = [table.items[table.starts[i] : table.starts[i + 1]] for i in matched]
            counts = np.bincount(np.concatenate(of_each), minlength=len(self.items))
            held = np.flatnonzero(counts >= table.needed)
            if not len(held):
                continue
            found += held.tolist()
            theirs = [i for i, items in zip(matched, of_each, strict=True) if np.isin(items, held).any()]
            at = np.flatnonzero(same & np.isin(place, theirs))
            spans += [(int(start), int(start) + table.n) for start in at]
        return Hits(tuple(sorted(found)), tuple(sorted(spans))) if found else None


def read_benchmarks(items: Iterable[BenchmarkItem], options: DecontaminationOptions) -> Benchmarks:
    """The n-grams of tasks; for each task by the n that suits its items (`DecontaminationOptions.shortest`).

    No n-gram goes over the end of a text into another one.
    """
    names: list[tuple[str, str]] = []
    words: list[list[Hashes]] = []
    of_task: dict[str, list[int]] = {}
    for item in items:
        of_task.setdefault(item.task, []).append(len(names))
        names.append((item.task, item.id))
        words.append([word_hashes(text) for text in item.texts])
    facts: dict[str, TaskFacts] = {}
    by_n: dict[int, list[int]] = {}
    for task, members in of_task.items():
        lengths = [max(map(len, words[member]), default=0) for member in members]
        n = int(np.clip(int(np.percentile(lengths, PERCENTILE)), options.shortest, options.ngram))
        facts[task] = TaskFacts(n, len(members), sum(length < n for length in lengths))
        by_n.setdefault(n, []).extend(members)
    return Benchmarks(
        tuple(names), facts, tuple(_table(n, members, words, options) for n, members in sorted(by_n.items()))
    )


def _table(
    n: int, members: Sequence[int], words: Sequence[Sequence[Hashes]], options: DecontaminationOptions
) -> _Table:
    needed = np.full(len(words), np.iinfo(np.int64).max, dtype=np.int64)
    ngrams, owners = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)]
    for member in members:
        own = np.unique(np.concatenate([np.empty(0, np.uint64), *(ngram_hashes(text, n) for text in words[member])]))
        if not len(own):
            continue
        needed[member] = 1 if options.rule == "any" else max(1, int(np.ceil(options.share * len(own) - 1e-9)))
        ngrams.append(own)
        owners.append(np.full(len(own), member, dtype=np.int64))
    every, owner = np.concatenate(ngrams), np.concatenate(owners)
    order = np.argsort(every, kind="stable")
    unique, first = np.unique(every[order], return_index=True)
    return _Table(n, unique, np.append(first, len(every)).astype(np.int64), owner[order], needed)


def pieces_without(text: str, hits: Hits, options: DecontaminationOptions) -> list[str]:
    """What stays of a contaminated document: nothing, or its pieces around what was found (GPT-3's rule)."""
    if options.remove == "document":
        return []
    words = word_spans(text)
    pieces, start = [], 0
    for first, last in hits.spans:
        cut = words[first][0] - options.margin
        pieces.append(text[start : max(start, cut)])
        start = max(start, words[last - 1][1] + options.margin)
    pieces.append(text[start:])
    if sum(map(bool, pieces)) > options.most_pieces:
        return []
    return [piece for piece in pieces if len(piece) >= options.shortest_piece]
