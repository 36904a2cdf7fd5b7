"""The running texts in a step: their new tokens, the pages that are theirs, and the path that some of them share.

Letters in names: R texts, w new tokens of each (more than one where tokens are guessed ahead), B pages, S positions of
a page, G key and value heads, m the w x H/G queries of one text that meet one key head.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from evalharness.stack.kernels.paged_decode.blocks import SMALLEST, Blocks, Rows

SPLIT = 256
"""Positions that a program reads at most in `fast`, so that a few long texts fill a GPU."""
SHARED_QUERIES = 32
"""Queries of a block in `fast` where texts read a path together."""


class Path(Protocol):
    """Positions at the beginning of several texts, in whole pages."""

    pages: list[int]
    """Pages of the cache that they lie in; none where they are handed in side by side."""


class Text(Protocol):
    """A text that grows."""

    @property
    def path(self) -> Path | None: ...

    @property
    def shared(self) -> int:
        """Positions of the shared path."""
        ...

    @property
    def tiles(self) -> list[int]:
        """Its own pages so far, the first one behind the shared path; nobody else has them."""
        ...

    @property
    def length(self) -> int:
        """Tokens whose keys and values are kept; those of a step come behind them."""
        ...


class Apart(NamedTuple):
    """The pages from the first in use to the last, each of which attends by itself."""

    pages: slice
    owners_B: Tensor
    bias_B1mS: Tensor
    order: Tensor | None
    """Of these, each text's pages in order, one text after another; None where they lie so."""
    filled_RB11: Tensor | None
    """Which of them only fill up a text's row; None where none does."""


class PagePlan:
    """How the rows of the texts attend: `width` for each text, texts with one shared path side by side.

    Each text has so many `new` tokens; where that is less than others have, it repeats the last one, whose keys and
    values then go where nobody looks: page 0 is nobody's. What implementations need of it is made once, as all layers
    attend alike; the tables of Triton have one of a few sizes where the plan is `steady`.
    """

    def __init__(
        self,
        texts: Sequence[Text],
        new: Sequence[int],
        page: int,
        device: torch.device | None,
        *,
        steady: bool = False,
    ) -> None:
        self.count = len(texts)
        self.width = width = max(new, default=0)
        self.rows = self.count * width
        self.page = page
        self._device = device
        self._steady = steady
        self.paths = [text.path for text in texts]
        self.shared = [text.shared for text in texts]
        self.positions = [
            text.length + min(number, count - 1)
            for text, count in zip(texts, new, strict=True)
            for number in range(width)
        ]
        """Of every row."""
        seen = [
            (text.length + count - 1 - begin) // page + 1
            for text, begin, count in zip(texts, self.shared, new, strict=True)
        ]
        self.pages = [text.tiles[:count] for text, count in zip(texts, seen, strict=True)]
        """Pages of its own that each text sees, in order."""
        self._top = max((tile for text in texts for tile in text.tiles), default=-1) + 1
        self._places = [
            divmod(at - begin, page) if number < count else None
            for text, begin, count in zip(texts, self.shared, new, strict=True)
            for number, at in enumerate(range(text.length, text.length + width))
        ]
        """Of every row's new key and value: which of the text's pages, and where in it."""
        self.groups = _groups(self.paths)
        """Neighbours with one shared path: the path, the first text and the one after the last."""
        self._biases: dict[tuple[int | None, int, int, int], Tensor] = {}
        self._apart: dict[tuple[int | None, int], Apart | None] = {}
        self._beyond: dict[tuple[int, int, int, int, int], Tensor] = {}
        self._blocks: dict[tuple[int, bool], Blocks] = {}

    def _tensor(self, values: Sequence[object]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)

    @cached_property
    def into(self) -> tuple[Tensor, Tensor]:
        """The page, and the place in it, of every row's new key and value."""
        table = [
            (0, 0) if place is None else (self.pages[number // self.width][place[0]], place[1])
            for number, place in enumerate(self._places)
        ]
        pages, places = self._tensor(table).view(-1, 2).unbind(1)
        return pages, places

    # ----------------------------------------------------------------------- for torch

    @cached_property
    def positions_Rw(self) -> Tensor:
        return self._tensor(self.positions).view(self.count, self.width)

    @cached_property
    def table_RB(self) -> Tensor:
        """The pages of each text in order, filled up with page 0."""
        most = max(map(len, self.pages), default=0)
        return self._tensor([pages + [0] * (most - len(pages)) for pages in self.pages]).view(self.count, most)

    @cached_property
    def in_order(self) -> Tensor:
        """The same one after another."""
        return self.table_RB.flatten()

    @cached_property
    def own_pages(self) -> Tensor:
        """The pages of each text, one text after another."""
        return self._tensor([page for pages in self.pages for page in pages])

    @cached_property
    def starts_R(self) -> Tensor:
        """Where among these each text's begin."""
        return self._tensor([0, *accumulate(map(len, self.pages))][:-1])

    @cached_property
    def owners_B(self) -> Tensor:
        """Whose each page is, up to the last one in use."""
        return self._owned[0]

    @cached_property
    def _owned(self) -> tuple[Tensor, Tensor]:
        """Owners, and the position that each page begins at: one that nobody reaches where it is nobody's."""
        owners, begins = [0] * self._top, [1 << 30] * self._top
        for row, (pages, begin) in enumerate(zip(self.pages, self.shared, strict=True)):
            for number, page in enumerate(pages):
                owners[page], begins[page] = row, begin + number * self.page
        return self._tensor(owners), self._tensor(begins)

    def bias(self, window: int | None, repeats: int, padded: int, groups: int, dtype: torch.dtype) -> Tensor:
        """0 where a query sees a position of a page and -inf where not, [B G, m, S]."""
        key = (window, repeats, padded, groups)
        if key not in self._biases:
            owners_B, begins_B = self._owned
            rows_Bw = self.positions_Rw[owners_B]
            columns_BS = begins_B[:, None] + torch.arange(self.page, device=self._device)
            visible_BwS = columns_BS[:, None] <= rows_Bw[:, :, None]
            if window is not None:
                visible_BwS &= rows_Bw[:, :, None] - columns_BS[:, None] < window
            bias_BmS = torch.zeros(visible_BwS.shape, device=self._device).masked_fill_(~visible_BwS, -torch.inf)
            bias_BmS = bias_BmS.repeat_interleave(repeats, dim=1)
            bias_BmS = torch.nn.functional.pad(bias_BmS, (0, 0, 0, padded - bias_BmS.shape[1]))
            self._biases[key] = bias_BmS[:, None].expand(-1, groups, -1, -1).flatten(0, 1).to(dtype)
        return self._biases[key]

    def apart(self, window: int | None, repeats: int, dtype: torch.dtype) -> Apart | None:
        """How pages can attend one by one; None where a query sees nothing of a page of its text, which the processor's
        flash attention cannot tell."""
        key = (window, repeats)
        if key not in self._apart:
            self._apart[key] = self._set_apart(window, repeats, dtype)
        return self._apart[key]

    def _set_apart(self, window: int | None, repeats: int, dtype: torch.dtype) -> Apart | None:
        used = self.own_pages.tolist()
        first, end = min(used), max(used) + 1
        bias_BmS = self.bias(window, repeats, self.width * repeats, 1, dtype)[first:end]
        blind_B = torch.isneginf(bias_BmS).all(-1).any(-1)
        if bool(blind_B[self.own_pages - first].any()):
            return None
        order_RB = self.table_RB - first
        filled_RB = order_RB < 0  # with page 0
        filled = bool(filled_RB.any())
        return Apart(
            pages=slice(first, end),
            owners_B=self.owners_B[first:end],
            bias_B1mS=bias_BmS[:, None],
            order=order_RB.clamp(min=0).flatten() if filled or used != list(range(first, end)) else None,
            filled_RB11=filled_RB[..., None, None] if filled else None,
        )

    def beyond(self, first: int, end: int, shared: int, window: int, repeats: int, padded: int) -> Tensor:
        """Which positions of a shared path lie outside the window of each query of some texts, [queries, shared]."""
        key = (first, shared, window, repeats, padded)
        if key not in self._beyond:
            rows_Rw = self.positions_Rw[first:end]
            hidden_RwS = rows_Rw[:, :, None] - torch.arange(shared, device=self._device) >= window
            hidden_RmS = hidden_RwS.repeat_interleave(repeats, dim=1)
            hidden_RmS = torch.nn.functional.pad(hidden_RmS, (0, 0, 0, padded - hidden_RmS.shape[1]))
            self._beyond[key] = hidden_RmS.flatten(0, 1)
        return self._beyond[key]

    # ----------------------------------------------------------------------- for Triton

    def blocks(self, repeats: int, exact: bool) -> Blocks:
        """Blocks of rows, `repeats` queries each: in `fast`, all texts of a group read the shared path together."""
        key = (repeats, exact)
        if key not in self._blocks:
            split = max(1, SPLIT // self.page)
            self._blocks[key] = Blocks.of(
                self.positions,
                self._whole() if exact else self._parted(split),
                self.page,
                repeats,
                queries=SHARED_QUERIES if self.groups and not exact else SMALLEST,
                split=None if exact else split,
                steady=self._steady,
                device=self._device,
            )
        return self._blocks[key]

    def take(self, other: PagePlan, repeats: int, exact: bool) -> None:
        """Hold another step's numbers in the tensors of this one, whose tables have the same size."""
        for own, new in zip(self.into, other.into, strict=True):
            own.copy_(new)
        self.blocks(repeats, exact).packed.copy_(other.blocks(repeats, exact).packed)

    def _whole(self) -> list[Rows]:
        return [
            Rows(row * self.width, self.width, [*([] if path is None else path.pages), *pages])
            for row, (path, pages) in enumerate(zip(self.paths, self.pages, strict=True))
        ]

    def _parted(self, split: int) -> list[Rows]:
        paths = [Rows(first * self.width, (end - first) * self.width, path.pages) for path, first, end in self.groups]
        part = max((-(-len(rows.pages) // split) for rows in paths), default=0)
        return paths + [
            Rows(row * self.width, self.width, pages, begin, part)
            for row, (pages, begin) in enumerate(zip(self.pages, self.shared, strict=True))
        ]


def _groups(paths: Sequence[Path | None]) -> list[tuple[Path, int, int]]:
    groups: list[tuple[Path, int, int]] = []
    for row, path in enumerate(paths):
        if path is None:
            continue
        if groups and groups[-1][0] is path and groups[-1][2] == row:
            groups[-1] = (path, groups[-1][1], row + 1)
        else:
            groups.append((path, row, row + 1))
    return groups
