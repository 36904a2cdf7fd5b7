"""Where the keys of each row of a line are: on a path that many rows share, and behind it on the row's own branch.

Letters: M rows of the line, C columns of keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evalharness.stack.kernels.flash_attention.intervals import KeyIntervals
from evalharness.stack.kernels.paged_decode.blocks import Blocks, Rows
from evalharness.stack.kernels.tiles import TILE


@dataclass(frozen=True, slots=True)
class Branch:
    """Rows of one sequence that follow each other, and the keys that only they see: from the end of the common path
    to their own last."""

    row: int
    """First row."""
    count: int
    start: int
    """Position of the first row."""
    columns: slice
    """Where the keys are, up to a whole tile; those behind the last position are hidden by the mask, and finite."""
    first: int
    """Position of the first column."""

    def visible(self, window: int | None) -> Tensor:
        """Which rows see which columns, [count, columns]."""
        rows = torch.arange(self.start, self.start + self.count)[:, None]
        columns = torch.arange(self.first, self.first + self.columns.stop - self.columns.start)[None, :]
        seen = columns <= rows
        return seen if window is None else seen & (rows - columns < window)


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring branches that see a common path of whole tiles."""

    row: int
    count: int
    common: slice
    """Columns of the common path, which are its positions 0, 1, ..."""
    branches: tuple[Branch, ...]

    @property
    def shared(self) -> int:
        """Positions of the common path."""
        return int(self.common.stop - self.common.start)

    def visible(self, window: int) -> Tensor:
        """Which rows see which positions of the common path, [count, shared]."""
        rows = torch.cat([torch.arange(branch.start, branch.start + branch.count) for branch in self.branches])
        return rows[:, None] - torch.arange(self.shared)[None, :] < window


class PrefixPlan:
    """The groups of a line, in order and with all of its rows, and how many columns there are.

    All columns of a plan begin at whole tiles. What kernels need of it is made once, as all layers attend alike.
    """

    def __init__(self, groups: Sequence[Group], columns: int, device: torch.device | None = None) -> None:
        self.groups = tuple(groups)
        self.columns = columns
        self.device = device
        self.rows = sum(group.count for group in groups)
        self._biases: dict[tuple[int, int | None, int], Tensor] = {}
        self._intervals: dict[int | None, tuple[KeyIntervals, KeyIntervals]] = {}
        self._blocks: dict[int, Blocks] = {}

    def bias(self, part: Branch | Group, window: int | None, repeats: int, like: Tensor) -> Tensor:
        """0 where a query of a part sees a column and -inf where not, [rows x repeats, columns]."""
        key = (id(part), window, repeats)
        if key not in self._biases:
            visible = part.visible(window)  # type: ignore[arg-type]
            bias = torch.zeros(visible.shape).masked_fill_(~visible, -torch.inf).to(like.device, like.dtype)
            self._biases[key] = bias.repeat_interleave(repeats, dim=0)
        return self._biases[key]

    def intervals(self, window: int | None) -> tuple[KeyIntervals, KeyIntervals]:
        """The columns that each row sees on the common path, and those on its own branch."""
        if window not in self._intervals:
            each = [(group.common.start, branch) for group in self.groups for branch in group.branches]
            counts = torch.tensor([branch.count for _, branch in each], dtype=torch.long)
            facts = torch.tensor(
                [(path, branch.first, branch.columns.start, branch.start) for path, branch in each], dtype=torch.int32
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

    def blocks(self, repeats: int) -> Blocks:
        """For `exact`: blocks of rows of one branch, which see its path and its own tiles in order."""
        if repeats not in self._blocks:
            branches = [(group, branch) for group in self.groups for branch in group.branches]
            self._blocks[repeats] = Blocks.of(
                [branch.start + number for _, branch in branches for number in range(branch.count)],
                [
                    Rows(branch.row, branch.count, [*_tiles(group.common), *_tiles(branch.columns)])
                    for group, branch in branches
                ],
                TILE,
                repeats,
                device=self.device,
            )
        return self._blocks[repeats]


def _tiles(columns: slice) -> range:
    return range(columns.start // TILE, columns.stop // TILE)


def merge(first_MHD: Tensor, first_HM: Tensor, second_MHD: Tensor, second_HM: Tensor) -> Tensor:
    """Attention to two sets of keys from attention to each and its log-sum-exp, the second of which sees something."""
    weight_MH1 = torch.sigmoid(first_HM - second_HM).T[..., None]
    # In fp32: rounded to bf16, the weights alone made errors half as large again.
    merged = second_MHD.to(weight_MH1.dtype).lerp(first_MHD.to(weight_MH1.dtype), weight_MH1)
    return merged.to(second_MHD.dtype)
