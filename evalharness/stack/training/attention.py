"""Attention within a batch of whole sequences: nothing is kept, and every token sees what its sequence allows.

Letters in names: B sequences, T tokens of each, H query heads, G key and value heads, D size of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


class BatchAttention:
    """The `AttentionContext` of sequences that are computed from their first tokens.

    Args:
        documents_BT: tokens see only tokens of the same document; None: all that come before.
        prefix_BT: tokens marked True see each other in both directions, within their document (prefix LM).
    """

    def __init__(self, documents_BT: Tensor | None = None, prefix_BT: Tensor | None = None) -> None:
        self.documents_BT = documents_BT
        self.prefix_BT = prefix_BT
        self._masks: dict[int | None, Tensor] = {}

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
