"""What the Triton kernel of attention to pages computes: blocks of rows, and the pages that each of them reads.

One table serves all: rows of a prompt, new tokens of a text, many texts at the path that they share, and parts of long
paths, whose results a second kernel merges. It is one tensor, so that a step copies one thing to a GPU.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

FACTS = 7
"""Numbers of a block: its first row, its rows, the least position of a row, the one behind the last that is seen, where
its pages begin, the position of the first, and its part. A block of zeros does nothing."""
SMALLEST = 16
"""Queries of a block at least, as a GPU multiplies matrices."""
MERGED = 16
"""Parts of a row that are merged at once."""


class Tile(NamedTuple):
    """Positions of a page that a program takes at once, and how it is launched."""

    step: int
    warps: int
    stages: int


def tile_of(queries: int, width: int, size: int, page: int, target: str) -> Tile:
    """Of blocks of so many queries, each `width` numbers of `size` bytes: by what follows from a model alone.

    Keys of a step take 16 KB at most, as much as values: with two steps at once an H100 holds three programs, each of
    which waits for 32 KB. Where queries are many, registers are short.
    """
    step = min(page, max(16, (2**14 if queries <= SMALLEST else 2**13) // (width * size)))
    return Tile(step, 4 if queries * width * size <= 2**13 else 8, 2 if target == "gfx942" else 3)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that follow each other and read the same pages."""

    row: int
    """First row."""
    count: int
    pages: Sequence[int]
    """In order of position."""
    first: int = 0
    """Position that the first page begins at."""
    part: int = 0
    """Number of the part of their result that they begin with; every `split` pages make another one."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Positions of rows, blocks of them, and pages, one after another in one tensor of int32."""

    packed: Tensor
    rows: int
    """Rows, each of which sees what is not behind its position."""
    count: int
    """Blocks."""
    queries: int
    """Queries of a block at most, which are its rows times the heads that read one key head."""
    parts: int
    """Parts that the result of a row is made of at most."""

    @property
    def positions(self) -> Tensor:
        return self.packed[: self.rows]

    @property
    def blocks(self) -> Tensor:
        return self.packed[self.rows : self.rows + self.count * FACTS]

    @property
    def pages(self) -> Tensor:
        return self.packed[self.rows + self.count * FACTS :]

    @property
    def size(self) -> tuple[int, ...]:
        """What two tables must have alike for one to take the other's place."""
        return len(self.packed), self.rows, self.count, self.queries, self.parts

    @staticmethod
    def of(
        positions: Sequence[int],
        rows: Sequence[Rows],
        page: int,
        repeats: int,
        *,
        queries: int = SMALLEST,
        split: int | None = None,
        steady: bool = False,
        device: torch.device | None = None,
    ) -> Blocks:
        """Blocks of at most `queries` (or one row) and, with `split`, of at most so many pages.

        Where it is `steady`, numbers of blocks, pages and parts are rounded up to powers of two: steps that are much
        alike have tables of one size.
        """
        queries = max(queries, _power(repeats))
        most = queries // repeats
        facts: list[int] = []
        pages: list[int] = []
        parts = 1
        for each in rows:
            chunks = []
            for row in range(each.row, each.row + each.count, most):
                count = min(most, each.row + each.count - row)
                places = positions[row : row + count]
                chunks.append((row, count, min(places), max(places) + 1))
            step = split or max(1, len(each.pages))
            for number, at in enumerate(range(0, len(each.pages), step)):
                here = each.pages[at : at + step]
                begin, part = each.first + at * page, each.part + number
                behind = begin + len(here) * page
                for row, count, least, end in chunks:
                    facts += (row, count, least, min(end, behind), len(pages), begin, part)
                pages += here
                parts = max(parts, part + 1)
        count = len(facts) // FACTS
        if steady:
            parts = _power(parts)
            pages += [0] * (_power(len(pages)) - len(pages))
            facts += [0] * FACTS * (_power(count) - count)
            count = _power(count)
        numbers = array("i", [*positions, *facts, *pages])
        # Of 10,000 numbers, torch.tensor takes a millisecond.
        packed = torch.frombuffer(numbers, dtype=torch.int32) if numbers else torch.empty(0, dtype=torch.int32)
        return Blocks(packed.to(device or "cpu"), len(positions), count, queries, parts)


def _power(count: int) -> int:
    """The power of two that is not smaller."""
    return 1 << max(0, count - 1).bit_length()
