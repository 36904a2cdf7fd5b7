"""The line of a step: which tokens are computed together, and where the keys of each one are.

A line holds the next tokens of the running texts and then stretches of prompts and scored sequences in the order of
a walk through the prefix tree, one after another without padding. Rows that follow each other share most of their
path, so that they attend to it together, in one dense product; only the short rest of each is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from evalharness.stack.kernels.shared_prefix_attention import Branch, Group, PrefixPlan
from evalharness.stack.kernels.tiles import TILE

GROUP_ROWS = 256
"""Rows that share one product over their common path: their scores stay in the cache of a processor."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of one sequence that follow each other in the line.

    `sources` says for every position up to the last one where its key and value are: a slot of the token store, or
    ``~row`` of this line.
    """

    row: int
    sources: Sequence[int]
    count: int

    @property
    def start(self) -> int:
        """Position of the first row."""
        return len(self.sources) - self.count


@dataclass(slots=True)
class Columns:
    """Keys and values as a step wants them: a table of columns, filled anew in each layer."""

    sources: list[int] = field(default_factory=list)

    def add(self, sources: Sequence[int]) -> slice:
        """Columns for these positions, filled up to a whole tile with the first one's."""
        begin = len(self.sources)
        self.sources += sources
        self.sources += [sources[0]] * (-len(sources) % TILE)
        return slice(begin, len(self.sources))


class LinePlan:
    """How the rows of one line's stretches attend, and what its columns hold.

    `first` is the row of the line that the first stretch begins at; rows of a plan count from there.
    """

    def __init__(self, stretches: Sequence[Stretch], first: int, device: torch.device) -> None:
        self._first = first
        self._device = device
        self._columns = Columns()
        groups = self._groups([piece for stretch in stretches for piece in _pieces(stretch)])
        self.width = len(self._columns.sources)
        """Number of columns."""
        self.prefixes = PrefixPlan(groups, self.width, device)
        self.count = self.prefixes.rows

    @cached_property
    def kept(self) -> tuple[Tensor, Tensor]:
        """Columns that come from the token store, and their slots."""
        pairs = [(column, source) for column, source in enumerate(self._columns.sources) if source >= 0]
        return self._indices(pairs)

    @cached_property
    def new(self) -> tuple[Tensor, Tensor]:
        """Columns that come from this line, and their rows."""
        first = self._first
        pairs = [(column, ~source - first) for column, source in enumerate(self._columns.sources) if source < 0]
        return self._indices(pairs)

    def _indices(self, pairs: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        table = torch.tensor(pairs, dtype=torch.long, device=self._device).view(-1, 2)
        return table[:, 0].contiguous(), table[:, 1].contiguous()

    def _groups(self, pieces: list[Stretch]) -> list[Group]:
        groups: list[Group] = []
        path: Sequence[int] = []
        """Sources of the common path that the last group used."""
        common = slice(0, 0)
        for members in _packed(pieces):
            shared = _shared(members)
            sources = members[0].sources[:shared]
            if sources != path[:shared]:
                common, path = self._columns.add(sources), sources
            branches = []
            for piece in members:
                columns = self._columns.add(piece.sources[shared:])
                branches.append(Branch(piece.row - self._first, piece.count, piece.start, columns, shared))
            groups.append(
                Group(
                    members[0].row - self._first,
                    sum(piece.count for piece in members),
                    slice(common.start, common.start + shared),
                    tuple(branches),
                )
            )
        return groups


def _pieces(stretch: Stretch) -> list[Stretch]:
    """A long stretch in pieces, so that the half of its own keys that a row does not see yet stays small."""
    pieces = []
    for begin in range(0, stretch.count, GROUP_ROWS):
        end = min(begin + GROUP_ROWS, stretch.count)
        pieces.append(Stretch(stretch.row + begin, stretch.sources[: stretch.start + end], end - begin))
    return pieces


def _packed(pieces: list[Stretch]) -> list[list[Stretch]]:
    """Neighbours of at most `GROUP_ROWS` rows together."""
    groups: list[list[Stretch]] = []
    rows = 0
    for piece in pieces:
        if not groups or rows + piece.count > GROUP_ROWS:
            groups.append([])
            rows = 0
        groups[-1].append(piece)
        rows += piece.count
    return groups


def _shared(pieces: list[Stretch]) -> int:
    """Whole tiles of positions that every row of all the pieces sees, at the same place."""
    first = pieces[0].sources
    shared = min(piece.start for piece in pieces)
    for piece in pieces[1:]:
        shared = _common(first, piece.sources, shared)
    return shared // TILE * TILE


def _common(one: Sequence[int], other: Sequence[int], longest: int) -> int:
    """Length of the common prefix, at most `longest`."""
    low, high = 0, longest
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
