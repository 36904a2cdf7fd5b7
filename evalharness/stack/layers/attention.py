"""Attention with grouped queries (Ainslie et al. 2023, arXiv:2305.13245).

The layer projects, normalises and rotates; which tokens see which is the business of an `AttentionContext`
that the caller hands in, so that engines can batch and cache as they like without touching a model.
Letters in names: T tokens of this pass, S tokens seen (T of them new), W width, H query heads, G key and
value heads, N all of them, D size of a head. What has a T may have more axes before it, as batches do.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.config import ModelConfig
from evalharness.stack.layers.linear import SideBySide
from evalharness.stack.layers.norms import RMSNorm
from evalharness.stack.layers.positions import Positions

QUERY_BLOCK = 512
"""Queries that share one mask: bounds the mask to 512 x S where a window or a cached prefix needs one."""


class AttentionContext(Protocol):
    """Which tokens of a pass see which, and where their keys and values are kept."""

    def attend(
        self, layer: int, queries_THD: Tensor, keys_TGD: Tensor, values_TGD: Tensor, *, scale: float, window: int | None
    ) -> Tensor:
        """Outputs of the heads, of the queries' shape: ``softmax(scale * q k^T) v`` over what each query sees."""
        ...


class WholeSequence:
    """The `AttentionContext` of one sequence that is computed from its first token, and not kept."""

    def attend(
        self, layer: int, queries_THD: Tensor, keys_TGD: Tensor, values_TGD: Tensor, *, scale: float, window: int | None
    ) -> Tensor:
        mixed_HTD = causal_attention(
            queries_THD.transpose(0, 1), keys_TGD.transpose(0, 1), values_TGD.transpose(0, 1), window, scale
        )
        return mixed_HTD.transpose(0, 1)


class Attention(nn.Module):
    """Projections of one attention layer around an `AttentionContext`."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads, self.kv_heads, self.head_dim = config.heads, config.kv_heads, config.head_dim
        self.window = config.window(layer)
        self.qkv = SideBySide(
            query=nn.Linear(config.width, config.heads * config.head_dim, bias=config.qkv_bias),
            key=nn.Linear(config.width, config.kv_heads * config.head_dim, bias=config.qkv_bias),
            value=nn.Linear(config.width, config.kv_heads * config.head_dim, bias=config.qkv_bias),
        )
        self.output = nn.Linear(config.heads * config.head_dim, config.width, bias=config.output_bias)
        self.query_norm = RMSNorm(config.head_dim, config.norm_epsilon) if config.qk_norm else None
        self.key_norm = RMSNorm(config.head_dim, config.norm_epsilon) if config.qk_norm else None

    def forward(self, x_TW: Tensor, positions: Positions, at: tuple[Tensor, ...], context: AttentionContext) -> Tensor:
        """`at` is what `positions` prepared for this pass."""
        qkv_TND = self.qkv(x_TW).unflatten(-1, (-1, self.head_dim))
        qk_TND, values_TGD = torch.split(qkv_TND, [self.heads + self.kv_heads, self.kv_heads], dim=-2)
        if self.query_norm is not None and self.key_norm is not None:
            queries_THD, keys_TGD = torch.split(qk_TND, [self.heads, self.kv_heads], dim=-2)
            qk_TND = torch.cat((self.query_norm(queries_THD), self.key_norm(keys_TGD)), dim=-2)
        queries_THD, keys_TGD = positions.place(qk_TND, self.heads, at)
        more = keys_TGD.shape[-1] - self.head_dim
        if more:  # keys and values share a cache, and kernels want them of one size
            values_TGD = F.pad(values_TGD, (0, more))
        mixed_THD = context.attend(
            self.layer, queries_THD, keys_TGD, values_TGD, scale=positions.scale, window=self.window
        )
        if more:
            mixed_THD = mixed_THD[..., : self.head_dim]
        return self.output(mixed_THD.flatten(-2))  # type: ignore[no-any-return]


def causal_attention(
    queries_HTD: Tensor, keys_GSD: Tensor, values_GSD: Tensor, window: int | None = None, scale: float | None = None
) -> Tensor:
    """``softmax(scale q k^T) v`` where the T queries are the last T of the S positions; `scale` is 1/sqrt(D) by itself.

    A query at position i sees the keys j <= i, and with a window only those with ``i - j < window``.
    """
    count, seen = queries_HTD.shape[1], keys_GSD.shape[1]
    if window is not None and seen <= window:
        window = None
    if count == 1:
        return _single_query(queries_HTD, keys_GSD, values_GSD, window, scale)
    if count == seen and window is None:
        return _attend(queries_HTD, keys_GSD, values_GSD, scale, is_causal=True)
    return _masked_blocks(queries_HTD, keys_GSD, values_GSD, window, scale)


def _single_query(
    queries_H1D: Tensor, keys_GSD: Tensor, values_GSD: Tensor, window: int | None, scale: float | None
) -> Tensor:
    """The newest position sees everything: heads of one group become rows of one query matrix, with no mask."""
    if window is not None:
        keys_GSD, values_GSD = keys_GSD[:, -window:], values_GSD[:, -window:]
    grouped = queries_H1D.view(keys_GSD.shape[0], -1, queries_H1D.shape[-1])
    return _attend(grouped, keys_GSD, values_GSD, scale).view(queries_H1D.shape)


def _masked_blocks(
    queries_HTD: Tensor, keys_GSD: Tensor, values_GSD: Tensor, window: int | None, scale: float | None
) -> Tensor:
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
            queries_HTD[:, begin:end], keys_GSD[:, first:last], values_GSD[:, first:last], scale, mask=visible
        )
    return mixed


def _attend(
    queries_HTD: Tensor,
    keys_GSD: Tensor,
    values_GSD: Tensor,
    scale: float | None,
    *,
    mask: Tensor | None = None,
    is_causal: bool = False,
) -> Tensor:
    grouped = queries_HTD.shape[0] != keys_GSD.shape[0]
    return F.scaled_dot_product_attention(
        queries_HTD[None],
        keys_GSD[None],
        values_GSD[None],
        attn_mask=mask,
        is_causal=is_causal,
        scale=scale,
        enable_gqa=grouped,
    )[0]
