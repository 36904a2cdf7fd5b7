"""Where the keys of each row of a line are: on a path that many rows share, and behind it on the row's own branch.

Letters: M rows of the line, C columns of keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evalharness.stack.kernels.flash_attention.intervals import KeyIntervals

TILE = 64
"""Positions that are added up together in `exact`: tile t holds the positions 64 t to 64 t + 63, whoever asks."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Rows of one sequence that follow each other in the line; all rows lie in a branch, in order."""

    count: int
    """Rows."""
    start: int
    """Position of the first."""
    path: int
    """Column of position 0, on the common path."""
    shared: int
    """Positions of the common path, at most `start`."""
    own: int
    """Column of the first position behind it."""


class PrefixPlan:
    """The branches of a line of rows, and how many columns there are."""

    def __init__(self, branches: Sequence[Branch], columns: int, device: torch.device | None = None) -> None:
        self.branches = tuple(branches)
        self.columns = columns
        self.device = device
        self.rows = sum(branch.count for branch in branches)
        self._intervals: dict[int | None, tuple[KeyIntervals, KeyIntervals]] = {}
        self._tables: dict[int, Tensor] = {}

    def intervals(self, window: int | None) -> tuple[KeyIntervals, KeyIntervals]:
        """The columns that each row sees on the common path, and those on its own branch."""
        if window not in self._intervals:
            counts = torch.tensor([branch.count for branch in self.branches], dtype=torch.long)
            facts = torch.tensor(
                [(branch.path, branch.shared, branch.own, branch.start) for branch in self.branches], dtype=torch.int32
            ).view(-1, 4)
            path_M, shared_M, own_M, start_M = facts.repeat_interleave(counts, 0).unbind(1)
            begin_M = (counts.cumsum(0) - counts).repeat_interleave(counts)
            position_M = start_M + (torch.arange(self.rows) - begin_M).int()
            least_M = torch.zeros_like(position_M) if window is None else (position_M - window + 1).clamp(min=0)
            self._intervals[window] = (
                self._interval(path_M + torch.minimum(least_M, shared_M), path_M + shared_M),
                self._interval(own_M + (least_M - shared_M).clamp(min=0), own_M + position_M + 1 - shared_M),
            )
        return self._intervals[window]

    def _interval(self, first_M: Tensor, end_M: Tensor) -> KeyIntervals:
        return KeyIntervals(first_M[None].to(self.device), end_M[None].to(self.device), self.columns)

    def blocks(self, rows: int) -> Tensor:
        """Branches cut into so many rows at most: for each, int32, its first row, rows, position, path, shared, own."""
        if rows not in self._tables:
            table, at = [], 0
            for branch in self.branches:
                for begin in range(0, branch.count, rows):
                    count = min(rows, branch.count - begin)
                    table.append((at + begin, count, branch.start + begin, branch.path, branch.shared, branch.own))
                at += branch.count
            self._tables[rows] = torch.tensor(table, dtype=torch.int32, device=self.device).view(-1, 6)
        return self._tables[rows]


def merge(first_MHD: Tensor, first_HM: Tensor, second_MHD: Tensor, second_HM: Tensor) -> Tensor:
    """Attention to two sets of keys from attention to each and its log-sum-exp, the second of which sees something."""
    weight_MH1 = torch.sigmoid(first_HM - second_HM).T[..., None]
    # In fp32: rounded to bf16, the weights alone made errors half as large again.
    merged = second_MHD.to(weight_MH1.dtype).lerp(first_MHD.to(weight_MH1.dtype), weight_MH1)
    return merged.to(second_MHD.dtype)
