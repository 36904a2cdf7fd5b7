"""Attention of a step: its new keys and values are kept, and its rows attend by the ops that compute it.

The rows of running texts attend to the pages that are theirs (`paged_decode`), those of prompts and scored sequences to
columns that the step lays side by side in each layer (`shared_prefix_attention`).

Letters in names: T tokens of the line, H query heads, G key and value heads, C columns, D size of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.engine.cache import SharedPath, TileStore, TokenStore
from evalharness.stack.engine.line import LinePlan
from evalharness.stack.kernels.paged_decode import PagePlan, paged_decode
from evalharness.stack.kernels.shared_prefix_attention import shared_prefix_attention
from evalharness.stack.kernels.store_kv import store_kv


class LineAttention:
    """An `AttentionContext` for one step: the texts' rows come first, then those of the line's prompts.

    `slots` and `rows` say which rows of the prompts are kept, and where.
    """

    def __init__(
        self,
        texts: PagePlan,
        tiles: TileStore,
        line: LinePlan,
        store: TokenStore,
        slots: Tensor,
        rows: Tensor,
        *,
        exact: bool,
    ) -> None:
        self._texts = texts
        self._into = texts.into if texts.rows else ()
        self._tiles = tiles
        self._paths = [path for path, *_ in texts.groups if isinstance(path, SharedPath) and path.layers]
        self._line = line
        self._store = store
        self._slots = slots
        self._zeros = torch.zeros_like(slots)
        self._rows = rows
        self._exact = exact
        self._columns: Tensor | None = None

    def attend(
        self, layer: int, queries_THD: Tensor, keys_TGD: Tensor, values_TGD: Tensor, *, scale: float, window: int | None
    ) -> Tensor:
        first, end = self._texts.rows, self._texts.rows + self._line.count
        mixed: list[Tensor] = []
        if first:
            here = slice(0, first)
            pages_2PSGD = self._tiles.layers[layer].transpose(2, 3)
            store_kv(keys_TGD[here], values_TGD[here], pages_2PSGD, *self._into)
            paths = [path.layers[layer] for path in self._paths]
            mixed.append(
                paged_decode(
                    queries_THD[here],
                    pages_2PSGD,
                    self._texts,
                    scale=scale,
                    window=window,
                    exact=self._exact,
                    paths=paths,
                )
            )
        if first < end:
            here = slice(first, end)
            columns_2CGD = self._fill(layer, keys_TGD[here], values_TGD[here])
            mixed.append(
                shared_prefix_attention(
                    queries_THD[here],
                    columns_2CGD[0],
                    columns_2CGD[1],
                    self._line.prefixes,
                    scale=scale,
                    window=window,
                    exact=self._exact,
                )
            )
        if end < len(queries_THD):  # rows that only fill the line
            mixed.append(torch.zeros_like(queries_THD[end:]))
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed)

    def _fill(self, layer: int, keys_TGD: Tensor, values_TGD: Tensor) -> Tensor:
        """The columns of this layer, [2, C, G, D], once what is kept of its rows is stored."""
        if len(self._slots):
            slots_2S1GD = self._store.layers[layer][:, :, None]
            store_kv(keys_TGD[self._rows], values_TGD[self._rows], slots_2S1GD, self._slots, self._zeros)
        if self._columns is None:
            self._columns = keys_TGD.new_zeros(2, keys_TGD.shape[1], self._line.width, keys_TGD.shape[2])
        columns_2CGD = self._columns.transpose(1, 2)
        into, slots = self._line.kept
        if len(into):
            columns_2CGD[:, into] = self._store.layers[layer].index_select(1, slots)
        into, rows = self._line.new
        columns_2CGD[0].index_copy_(0, into, keys_TGD.index_select(0, rows))
        columns_2CGD[1].index_copy_(0, into, values_TGD.index_select(0, rows))
        return columns_2CGD
