"""The running texts in a step: their new tokens against the tiles that are theirs and the path that they share.

Letters in names: R texts, w new tokens of each (more than one where tokens are guessed ahead), H query heads, G key and
value heads, m the w x H/G queries of one text that meet one key head, B tiles, D size of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from evalharness.stack.engine.cache import GRAIN, TILE, TileStore
from evalharness.stack.engine.scores import scores_of


class SharedPath:
    """Keys and values of whole tiles at the beginning of several texts: for each layer [2, G, shared, D]."""

    def __init__(self, ids: tuple[int, ...], layers: list[Tensor]) -> None:
        self.ids = ids
        self.layers = layers
        self.users = 0


class Text(Protocol):
    """A text that grows."""

    path: SharedPath | None
    tiles: list[int]
    """Its own tiles so far, the first one behind the shared path."""
    length: int
    """Tokens whose keys and values are kept; those of a step come behind them."""

    @property
    def shared(self) -> int:
        """Positions of the shared path."""
        ...


class TextsPlan:
    """How the first rows of a line attend: `width` for each text, texts with one shared path side by side.

    Each text has so many `new` tokens; where that is less than others have, it repeats the last one, whose keys and
    values then go where nobody looks.
    """

    def __init__(self, texts: Sequence[Text], new: Sequence[int], store: TileStore, device: torch.device) -> None:
        self.count = len(texts)
        self.width = width = max(new, default=0)
        self.rows = self.count * width
        self.positions: list[int] = []
        """Of every row."""
        if not texts:
            return
        self._store = store
        self._device = device
        shared = [text.shared for text in texts]
        self.positions = [
            text.length + min(number, count - 1)
            for text, count in zip(texts, new, strict=True)
            for number in range(width)
        ]
        self._positions_Rw = self._tensor(self.positions).view(self.count, width)
        # Where the new keys go.
        places = [
            (text.tiles[(at - begin) // TILE], at % TILE) if number < count else (0, 0)
            for text, begin, count in zip(texts, shared, new, strict=True)
            for number, at in enumerate(range(text.length, text.length + width))
        ]
        self._into, self._offsets = self._tensor(places).view(-1, 2).unbind(1)
        # Whose each tile is, which position it begins at, and the tiles of each text in order.
        seen = [
            (text.length + count - 1 - begin) // TILE + 1 for text, begin, count in zip(texts, shared, new, strict=True)
        ]
        self._table_RB = self._tensor(
            [text.tiles[:count] + [0] * (max(seen) - count) for text, count in zip(texts, seen, strict=True)]
        )
        top = max(tile for text in texts for tile in text.tiles) + 1
        owners, begins = [0] * top, [1 << 30] * top
        for row, (text, begin, count) in enumerate(zip(texts, shared, seen, strict=True)):
            for number, tile in enumerate(text.tiles[:count]):
                owners[tile], begins[tile] = row, begin + number * TILE
        self._owners_B, self._begins_B = self._tensor(owners), self._tensor(begins)
        self._biases: dict[int | None, Tensor] = {}
        self.groups = _groups(texts)

    def _tensor(self, values: Sequence[object]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)

    def _bias(self, window: int | None, repeats: int, padded: int, like: Tensor) -> Tensor:
        """0 where a query sees a position of a tile and -inf where not, [B G, m, 64]; alike in all layers."""
        if window not in self._biases:
            rows_Bw = self._positions_Rw[self._owners_B]
            columns_BS = self._begins_B[:, None] + torch.arange(TILE, device=self._device)
            visible_BwS = columns_BS[:, None] <= rows_Bw[:, :, None]
            if window is not None:
                visible_BwS &= rows_Bw[:, :, None] - columns_BS[:, None] < window
            bias_BmS = torch.zeros(visible_BwS.shape, device=self._device).masked_fill_(~visible_BwS, -torch.inf)
            bias_BmS = bias_BmS.repeat_interleave(repeats, dim=1)
            bias_BmS = torch.nn.functional.pad(bias_BmS, (0, 0, 0, padded - bias_BmS.shape[1]))
            groups = like.shape[1]
            self._biases[window] = bias_BmS[:, None].expand(-1, groups, -1, -1).flatten(0, 1).to(like.dtype)
        return self._biases[window]

    def attend(
        self, layer: int, queries_NHD: Tensor, keys_NGD: Tensor, values_NGD: Tensor, window: int | None, exact: bool
    ) -> Tensor:
        """Outputs of the heads, [R w, H, D]. The queries are scaled.

        In `exact`, products have at least 8 rows and probabilities meet values tile by tile, in order of position.
        """
        store = self._store.layers[layer]
        store[0][self._into, :, self._offsets] = keys_NGD
        store[1][self._into, :, self._offsets] = values_NGD
        heads, size = keys_NGD.shape[1], keys_NGD.shape[2]
        repeats = queries_NHD.shape[1] // heads
        queries_RGmD = queries_NHD.view(self.count, self.width, heads, repeats, size).transpose(1, 2).flatten(2, 3)
        used = queries_RGmD.shape[2]
        if exact:
            queries_RGmD = torch.nn.functional.pad(queries_RGmD, (0, 0, 0, -used % GRAIN))
        padded = queries_RGmD.shape[2]

        top = len(self._owners_B)
        keys_BSD, values_BSD = store[0, :top].flatten(0, 1), store[1, :top].flatten(0, 1)
        by_tile = queries_RGmD.index_select(0, self._owners_B).flatten(0, 1)
        bias = self._bias(window, repeats, padded, keys_NGD)
        scores = scores_of(by_tile, keys_BSD, bias).view(top, heads, padded, TILE)
        best_RGm = self._of_texts(scores.amax(-1)).amax(1)
        shared = []
        for path, first, end in self.groups:
            keys_GSD = path.layers[layer][0]
            group_GMD = queries_RGmD[first:end].transpose(0, 1).flatten(1, 2)
            found = scores_of(group_GMD, keys_GSD)
            if window is not None:
                found.masked_fill_(self._beyond(first, end, found.shape[-1], window, repeats, padded), -torch.inf)
            best = found.amax(-1).view(heads, end - first, padded).transpose(0, 1)
            best_RGm[first:end] = torch.maximum(best_RGm[first:end], best)
            shared.append(found)

        mixed_RGmD = torch.zeros((*best_RGm.shape, size), device=self._device)
        total_RGm = torch.zeros_like(best_RGm)
        for (path, first, end), found in zip(self.groups, shared, strict=True):
            best_GM = best_RGm[first:end].transpose(0, 1).flatten(1, 2)
            found.sub_(best_GM[..., None]).exp_()
            mixed, total = mix(found, path.layers[layer][1], exact)
            shape = (heads, end - first, padded)
            mixed_RGmD[first:end] = mixed.view(*shape, size).transpose(0, 1)
            total_RGm[first:end] = total.view(shape).transpose(0, 1)
        scores.sub_(best_RGm.index_select(0, self._owners_B)[..., None]).exp_()
        own = torch.bmm(scores.flatten(0, 1).to(values_BSD.dtype), values_BSD).view(top, heads, padded, size)
        sums = scores.sum(-1)
        if exact:
            for tiles_R in self._table_RB.unbind(1):
                mixed_RGmD += own.index_select(0, tiles_R)
                total_RGm += sums.index_select(0, tiles_R)
        else:
            mixed_RGmD += self._of_texts(own).sum(1)
            total_RGm += self._of_texts(sums).sum(1)
        mixed_RGmD /= total_RGm[..., None]
        mixed = mixed_RGmD[:, :, :used].to(queries_NHD.dtype)
        return mixed.view(self.count, heads, self.width, repeats, size).transpose(1, 2).reshape(queries_NHD.shape)

    def _of_texts(self, found: Tensor) -> Tensor:
        """What was found for each tile, [B, ...], as each text has them in order, [R, its tiles, ...]."""
        # Twice as fast as an index of two dimensions (24 and 52 µs for 64 texts of three tiles).
        return found.index_select(0, self._table_RB.flatten()).view(*self._table_RB.shape, *found.shape[1:])

    def _beyond(self, first: int, end: int, shared: int, window: int, repeats: int, padded: int) -> Tensor:
        """Which positions of a shared path lie outside the window of each query, [queries, shared]."""
        rows_Rw = self._positions_Rw[first:end]
        hidden_RwS = rows_Rw[:, :, None] - torch.arange(shared, device=self._device) >= window
        hidden_RmS = hidden_RwS.repeat_interleave(repeats, dim=1)
        return torch.nn.functional.pad(hidden_RmS, (0, 0, 0, padded - hidden_RmS.shape[1])).flatten(0, 1)


def mix(weights_GMS: Tensor, values_GSD: Tensor, exact: bool) -> tuple[Tensor, Tensor]:
    """Weighted values [G, M, D] and the sum of the weights [G, M]; in `exact` tile by tile, in order of position."""
    if not exact:
        return torch.bmm(weights_GMS.to(values_GSD.dtype), values_GSD).float(), weights_GMS.sum(-1)
    mixed_GMD = weights_GMS.new_zeros(*weights_GMS.shape[:2], values_GSD.shape[-1])
    total_GM = weights_GMS.new_zeros(weights_GMS.shape[:2])
    add_tiles(mixed_GMD, total_GM, weights_GMS, values_GSD)
    return mixed_GMD, total_GM


def add_tiles(mixed_GMD: Tensor, total_GM: Tensor, weights_GMS: Tensor, values_GSD: Tensor) -> None:
    """Add what each tile of 64 positions brings, one after another; queries beyond those of `mixed_GMD` are dropped.

    A product over one tile has the same bits whatever is computed beside it, and tiles that a query does not see add
    zero: so the order of the sum, and with it every bit, depends on the positions alone.
    """
    count = mixed_GMD.shape[1]
    sums_GMB = weights_GMS.view(*weights_GMS.shape[:2], -1, TILE).sum(-1)
    for number in range(sums_GMB.shape[-1]):
        here = slice(number * TILE, (number + 1) * TILE)
        mixed_GMD += torch.bmm(weights_GMS[..., here].to(values_GSD.dtype), values_GSD[:, here])[:, :count]
        total_GM += sums_GMB[:, :count, number]


def _groups(texts: Sequence[Text]) -> list[tuple[SharedPath, int, int]]:
    """Neighbours with one shared path: the path, the first text and the one after the last."""
    groups: list[tuple[SharedPath, int, int]] = []
    for row, text in enumerate(texts):
        if text.path is None:
            continue
        if groups and groups[-1][0] is text.path and groups[-1][2] == row:
            groups[-1] = (text.path, groups[-1][1], row + 1)
        else:
            groups.append((text.path, row, row + 1))
    return groups
