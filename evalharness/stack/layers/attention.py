"""Attention with grouped queries (Ainslie et al. 2023, arXiv:2305.13245).

The layer projects, normalises and rotates; which tokens see which is the business of an `AttentionContext`
that the caller hands in, so that engines can batch and cache as they like without touching a model.
Letters in names: T tokens of this pass, S tokens seen (T of them new), W width, H query heads, G key and
value heads, D size of a head.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.layers.linear import SideBySide
from evalharness.stack.layers.norms import RMSNorm
from evalharness.stack.layers.positions import Rotation, rotate

QUERY_BLOCK = 512
"""Queries that share one mask: bounds the mask to 512 x S where a window or a cached prefix needs one."""


class AttentionContext(Protocol):
    """Which tokens of a pass see which, and where their keys and values are kept."""

    def attend(
        self, layer: int, queries_THD: Tensor, keys_TGD: Tensor, values_TGD: Tensor, window: int | None
    ) -> Tensor:
        """Outputs of the heads, of the queries' shape."""
        ...


class WholeSequence:
    """The `AttentionContext` of one sequence that is computed from its first token, and not kept."""

    def attend(
        self, layer: int, queries_THD: Tensor, keys_TGD: Tensor, values_TGD: Tensor, window: int | None
    ) -> Tensor:
        mixed_HTD = causal_attention(
            queries_THD.transpose(0, 1), keys_TGD.transpose(0, 1), values_TGD.transpose(0, 1), window
        )
        return mixed_HTD.transpose(0, 1)


class Attention(nn.Module):
    """Projections of one attention layer around an `AttentionContext`."""

    def __init__(
        self,
        *,
        layer: int,
        width: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        qkv_bias: bool = False,
        output_bias: bool = False,
        qk_norm_epsilon: float | None = None,
        window: int | None = None,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.heads = heads
        self.kv_heads = kv_heads
        self.head_dim = head_dim
        self.window = window
        self.qkv = SideBySide(
            query=nn.Linear(width, heads * head_dim, bias=qkv_bias),
            key=nn.Linear(width, kv_heads * head_dim, bias=qkv_bias),
            value=nn.Linear(width, kv_heads * head_dim, bias=qkv_bias),
        )
        self.output = nn.Linear(heads * head_dim, width, bias=output_bias)
        self.query_norm = None if qk_norm_epsilon is None else RMSNorm(head_dim, qk_norm_epsilon)
        self.key_norm = None if qk_norm_epsilon is None else RMSNorm(head_dim, qk_norm_epsilon)

    def forward(self, x_TW: Tensor, by: Rotation, context: AttentionContext) -> Tensor:
        turned = [self.heads, self.kv_heads]
        qkv_TND = self.qkv(x_TW).view(x_TW.shape[0], -1, self.head_dim)
        qk_TND, values_TGD = torch.split(qkv_TND, [sum(turned), self.kv_heads], dim=1)
        if self.query_norm is not None and self.key_norm is not None:
            queries_THD, keys_TGD = torch.split(qk_TND, turned, dim=1)
            qk_TND = torch.cat((self.query_norm(queries_THD), self.key_norm(keys_TGD)), dim=1)
        queries_THD, keys_TGD = torch.split(rotate(qk_TND, by), turned, dim=1)
        mixed_THD = context.attend(self.layer, queries_THD, keys_TGD, values_TGD, self.window)
        return self.output(mixed_THD.flatten(1))  # type: ignore[no-any-return]


def causal_attention(queries_HTD: Tensor, keys_GSD: Tensor, values_GSD: Tensor, window: int | None = None) -> Tensor:
    """``softmax(q k^T / sqrt(D)) v`` where the T queries are the last T of the S positions.

    A query at position i sees the keys j <= i, and with a window only those with ``i - j < window``.
    """
    count, seen = queries_HTD.shape[1], keys_GSD.shape[1]
    if window is not None and seen <= window:
        window = None
    if count == 1:
        return _single_query(queries_HTD, keys_GSD, values_GSD, window)
    if count == seen and window is None:
        return _attend(queries_HTD, keys_GSD, values_GSD, is_causal=True)
    return _masked_blocks(queries_HTD, keys_GSD, values_GSD, window)


def _single_query(queries_H1D: Tensor, keys_GSD: Tensor, values_GSD: Tensor, window: int | None) -> Tensor:
    """The newest position sees everything: heads of one group become rows of one query matrix, with no mask."""
    if window is not None:
        keys_GSD, values_GSD = keys_GSD[:, -window:], values_GSD[:, -window:]
    grouped = queries_H1D.view(keys_GSD.shape[0], -1, queries_H1D.shape[-1])
    return _attend(grouped, keys_GSD, values_GSD).view(queries_H1D.shape)


def _masked_blocks(queries_HTD: Tensor, keys_GSD: Tensor, values_GSD: Tensor, window: int | None) -> Tensor:
    """Block of queries by block, each against the keys it can see, under an explicit mask."""
    count, seen = queries_HTD.shape[1], keys_GSD.shape[1]
    mixed = torch.empty_like(queries_HTD)
    for begin in range(0, count, QUERY_BLOCK):
        end = min(begin + QUERY_BLOCK, count)
        last = seen - count + end
        first = 0 if window is None else max(0, last - (end - begin) - window + 1)
        rows = torch.arange(last - (end - begin), last, device=queries_HTD.device)[:, None]
        columns = torch.arange(first, last, device=queries_HTD.device)[None, :]
        visible = columns <= rows
        if window is not None:
            visible &= rows - columns < window
        mixed[:, begin:end] = _attend(
            queries_HTD[:, begin:end], keys_GSD[:, first:last], values_GSD[:, first:last], mask=visible
        )
    return mixed


def _attend(
    queries_HTD: Tensor, keys_GSD: Tensor, values_GSD: Tensor, *, mask: Tensor | None = None, is_causal: bool = False
) -> Tensor:
    grouped = queries_HTD.shape[0] != keys_GSD.shape[0]
    return F.scaled_dot_product_attention(
        queries_HTD[None], keys_GSD[None], values_GSD[None], attn_mask=mask, is_causal=is_causal, enable_gqa=grouped
    )[0]
