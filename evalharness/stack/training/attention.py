"""Attention within a batch of whole sequences: nothing is kept, and every token sees what its sequence allows.

Letters in names: B sequences, T tokens of each, H query heads, G key and value heads, D size of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.kernels.flash_attention import OP, KeyIntervals, causal, flash_attention, packed

SHORT = 512
"""Tokens up to which torch takes one mask of all of them; beyond, what it takes in memory grows with T alone."""


class BatchAttention:
    """The `AttentionContext` of sequences that are computed from their first tokens.

    torch takes masks of T x T of short sequences, and of longer ones on a GPU and under torch.compile, where it has
    nothing faster; all else is the op `flash_attention`.

    Args:
        documents_BT: tokens see only tokens of the same document; None: all that come before.
        prefix_BT: tokens marked True see each other in both directions, within their document (prefix LM).
        masks: whether torch takes a mask of longer sequences too, as it must where tensors have no numbers.
    """

    def __init__(
        self, documents_BT: Tensor | None = None, prefix_BT: Tensor | None = None, *, masks: bool = False
    ) -> None:
        self.documents_BT = documents_BT
        self.prefix_BT = prefix_BT
        self._takes_masks = masks
        self._masks: dict[int | None, Tensor] = {}
        self._intervals: dict[int | None, KeyIntervals] = {}

    def attend(
        self,
        layer: int,
        queries_BTHD: Tensor,
        keys_BTGD: Tensor,
        values_BTGD: Tensor,
        *,
        scale: float,
        window: int | None,
    ) -> Tensor:
        length = queries_BTHD.shape[1]
        if window is not None and window >= length:
            window = None
        plain = window is None and self.documents_BT is None and self.prefix_BT is None
        if OP.chosen(queries_BTHD, queries_BTHD.shape[-1]) != "torch" or not (plain or self._masked(queries_BTHD)):
            return self._by_intervals(queries_BTHD, keys_BTGD, values_BTGD, scale, window)
        mixed_BHTD = F.scaled_dot_product_attention(
            queries_BTHD.transpose(1, 2),
            keys_BTGD.transpose(1, 2),
            values_BTGD.transpose(1, 2),
            attn_mask=None if plain else self._mask(length, window, queries_BTHD.device),
            is_causal=plain,
            scale=scale,
            enable_gqa=queries_BTHD.shape[2] != keys_BTGD.shape[2],
        )
        return mixed_BHTD.transpose(1, 2)

    def _masked(self, queries_BTHD: Tensor) -> bool:
        """Whether torch takes a mask of T x T."""
        if queries_BTHD.shape[1] <= SHORT or queries_BTHD.device.type != "cpu":
            return True
        return self._takes_masks or torch.compiler.is_compiling()

    def _by_intervals(
        self, queries_BTHD: Tensor, keys_BTGD: Tensor, values_BTGD: Tensor, scale: float, window: int | None
    ) -> Tensor:
        kind = queries_BTHD.device.type
        if torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
            queries_BTHD, keys_BTGD, values_BTGD = (x.to(dtype) for x in (queries_BTHD, keys_BTGD, values_BTGD))
        if window not in self._intervals:
            self._intervals[window] = self._seen(queries_BTHD.shape[1], window, queries_BTHD.device)
        with torch.autocast(kind, enabled=False):
            return flash_attention(queries_BTHD, keys_BTGD, values_BTGD, self._intervals[window], scale=scale)[0]

    def _seen(self, length: int, window: int | None, device: torch.device) -> KeyIntervals:
        """Which keys a query sees; alike in all layers of one window."""
        if self.documents_BT is None and self.prefix_BT is None:
            return causal(length, length, window=window, device=device)
        return packed(length, documents_BT=self.documents_BT, prefix_BT=self.prefix_BT, window=window)

    def _mask(self, length: int, window: int | None, device: torch.device) -> Tensor:
        """Which queries see which keys, [B or 1, 1, T, T]; alike in all layers of one window."""
        if window not in self._masks:
            places = torch.arange(length, device=device)
            distance_TT = places[:, None] - places[None, :]
            seen_BTT = (distance_TT >= 0)[None]
            if window is not None:
                seen_BTT = seen_BTT & (distance_TT < window)
            if self.prefix_BT is not None:
                seen_BTT = seen_BTT | (self.prefix_BT[:, :, None] & self.prefix_BT[:, None, :])
            if self.documents_BT is not None:
                seen_BTT = seen_BTT & (self.documents_BT[:, :, None] == self.documents_BT[:, None, :])
            self._masks[window] = seen_BTT[:, None]
        return self._masks[window]
