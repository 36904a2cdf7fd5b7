"""Sequences of one length filled from documents, with the boundaries between them told or not."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalharness.stack.corpus.encoding import Ids
from evalharness.stack.corpus.options import PackingOptions
from evalharness.stack.corpus.shards import Shards

PADDING = -1


class Packed(NamedTuple):
    """One sequence of T tokens."""

    tokens_T: Ids
    documents_T: NDArray[np.int32]
    """The document of each token, counted from 0 in this sequence, `PADDING` after the last; all 0 where boundaries are
    not told."""


@dataclass(frozen=True, slots=True)
class PackingCounts:
    """What packing makes of a source: `tokens` = `sequences` * length - `padded` + `dropped`."""

    tokens: int
    sequences: int
    padded: int
    dropped: int
    """Tokens at the end that fill no sequence (`cut`)."""
    cut: int
    """Documents that lie in more than one sequence."""


class PackedSource:
    """A source as numbered sequences; the same source, options and padding give the same sequences."""

    def __init__(self, shards: Shards, options: PackingOptions, padding_id: int) -> None:
        self._shards = shards
        self._options = options
        self._padding_id = padding_id
        self._bins = None if options.method == "cut" else best_fit(np.diff(shards.offsets), options.length)

    def __len__(self) -> int:
        return self._shards.tokens // self._options.length if self._bins is None else len(self._bins)

    def __getitem__(self, number: int) -> Packed:
        if not 0 <= number < len(self):
            raise IndexError(f"sequence {number} of {len(self)}")
        length, offsets = self._options.length, self._shards.offsets
        if self._bins is None:
            start = number * length
            tokens = self._shards.read(start, start + length)
            of = np.searchsorted(offsets, np.arange(start, start + length), side="right")
            documents = (of - of[0]).astype(np.int32)
            # A document of no token would leave a number out.
            documents = np.unique(documents, return_inverse=True)[1].astype(np.int32).reshape(-1)
        else:
            tokens = np.full(length, self._padding_id, dtype=self._shards.dtype)
            documents = np.full(length, PADDING, dtype=np.int32)
            place = 0
            for position, (document, begin, size) in enumerate(self._bins[number]):
                first = int(offsets[document]) + begin
                tokens[place : place + size] = self._shards.read(first, first + size)
                documents[place : place + size] = position
                place += size
        if not self._options.boundaries:
            documents = np.where(documents == PADDING, PADDING, 0).astype(np.int32)
        return Packed(tokens, documents)

    def counts(self) -> PackingCounts:
        length, offsets, tokens = self._options.length, self._shards.offsets, self._shards.tokens
        if self._bins is None:
            used = len(self) * length
            first, last = offsets[:-1] // length, np.maximum(offsets[1:] - 1, offsets[:-1]) // length
            return PackingCounts(tokens, len(self), 0, tokens - used, int(np.count_nonzero(first != last)))
        cut = int(np.count_nonzero(np.diff(offsets) > length))
        return PackingCounts(tokens, len(self), len(self) * length - tokens, 0, cut)


def best_fit(sizes: Sequence[int] | NDArray[np.int64], length: int) -> list[list[tuple[int, int, int]]]:
    """Bins of at most `length` tokens, as parts of documents: ``(document, first token, tokens)``.

    A document longer than `length` is cut into parts of `length` and a rest. Parts are taken from the longest to the
    shortest, each into the bin with the least room that it fits in (best fit decreasing, Ding et al. 2024, section 3).
    """
    parts = [
        (document, begin, min(length, int(size) - begin))
        for document, size in enumerate(sizes)
        for begin in range(0, int(size), length)
    ]
    parts.sort(key=lambda part: -part[2])
    bins: list[list[tuple[int, int, int]]] = []
    with_room: dict[int, list[int]] = {}
    rooms: list[int] = []
    """Rooms that some bin has, sorted."""
    for part in parts:
        place = bisect_left(rooms, part[2])
        if place == len(rooms):
            bins.append([part])
            number, room = len(bins) - 1, length - part[2]
        else:
            room = rooms[place]
            number = with_room[room].pop()
            if not with_room[room]:
                del with_room[room], rooms[place]
            bins[number].append(part)
            room -= part[2]
        if room:
            if room not in with_room:
                insort(rooms, room)
            with_room.setdefault(room, []).append(number)
    return bins
