"""What the Triton kernel of attention to pages computes: blocks of rows, and the pages that each of them reads.

One table serves all: rows of a prompt, new tokens of a text, many texts at the path that they share, and parts of long
paths, whose results a second kernel merges. It is one tensor, so that a step copies one thing to a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FACTS = 6
"""Numbers of a block: its first row, its rows, where its pages begin, the position of the first, the one behind the
last, and its part."""
NO_BLOCK = (0,) * FACTS
SMALLEST = 16
"""Queries of a block at least, as a GPU multiplies matrices."""


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
        pages: list[int] = []
        blocks: list[tuple[int, ...]] = []
        parts = 1
        for each in rows:
            step = split or max(1, len(each.pages))
            for number, at in enumerate(range(0, len(each.pages), step)):
                here = each.pages[at : at + step]
                begin = each.first + at * page
                span = (len(pages), begin, begin + len(here) * page, each.part + number)
                pages += here
                parts = max(parts, each.part + number + 1)
                for row in range(0, each.count, most):
                    blocks.append((each.row + row, min(most, each.count - row), *span))
        if steady:
            parts = _power(parts)
            pages += [0] * (_power(len(pages)) - len(pages))
            blocks += [NO_BLOCK] * (_power(len(blocks)) - len(blocks))
        before = len(positions) + len(blocks) * FACTS
        numbers = [*positions]
        for row, count, at, *rest in blocks:
            numbers += (row, count, before + at, *rest)
        packed = torch.tensor(numbers + pages, dtype=torch.int32, device=device)
        return Blocks(packed, len(positions), len(blocks), queries, parts)


def _power(count: int) -> int:
    """The power of two that is not smaller."""
    return 1 << max(0, count - 1).bit_length()
