"""The chunks of rows: gradients of one are computed while its logits are there, in the forward pass.

The order of work is that of Liger's fused linear cross entropy (Hsu et al. 2024, arXiv:2410.10989). What is done to the
logits of a chunk is the implementation's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from evalharness.stack.kernels.linear_cross_entropy import rows_at_once
from evalharness.stack.layers.linear import rows_times

OnChunk = Callable[[Tensor, Tensor, Tensor, float, torch.dtype], tuple[Tensor, Tensor, Tensor]]
"""Of logits, targets, weights, z-loss and a dtype: losses without weights and logsumexp, both of the weights' dtype,
and in that dtype the gradient of the weighted loss with z-loss by the logits, which may take their place. Logits are
of that dtype or of the weights'."""


def in_chunks(
    hidden_NW: Tensor,
    weight_VW: Tensor,
    targets_N: Tensor,
    weights_N: Tensor,
    z_loss: float,
    chunk: int | None,
    on_chunk: OnChunk,
) -> tuple[Tensor, Tensor]:
    """`linear_cross_entropy` with what `on_chunk` does to the logits of a chunk."""
    kind = hidden_NW.device.type
    if kind == "cuda" and torch.is_autocast_enabled(kind):
        hidden_NW = hidden_NW.to(torch.get_autocast_dtype(kind))
    rows = _Rows(targets_N, weights_N, z_loss, chunk or rows_at_once(kind, weight_VW.shape[0]), on_chunk)
    with torch.autocast(kind, enabled=False):
        if torch.is_grad_enabled() and (hidden_NW.requires_grad or weight_VW.requires_grad):
            found: tuple[Tensor, Tensor] = _LinearCrossEntropy.apply(hidden_NW, weight_VW, rows)  # type: ignore[no-untyped-call]
            return found
        total, plain, _, _ = _compute(hidden_NW, weight_VW, rows, wants_hidden=False, wants_weight=False)
        return total, plain


@dataclass(frozen=True, slots=True)
class _Rows:
    """What each row is to say and how much it counts, and how rows are worked on."""

    targets_N: Tensor
    weights_N: Tensor
    z_loss: float
    chunk: int
    on_chunk: OnChunk


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_NW: Tensor, weight_VW: Tensor, rows: _Rows) -> tuple[Tensor, Tensor]:
        wants_hidden, wants_weight, _ = ctx.needs_input_grad
        total, plain, by_hidden_NW, by_weight_VW = _compute(
            hidden_NW, weight_VW, rows, wants_hidden=wants_hidden, wants_weight=wants_weight
        )
        ctx.save_for_backward(by_hidden_NW, by_weight_VW)
        ctx.mark_non_differentiable(plain)
        return total, plain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_total: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        scaled = (None if gradient is None else gradient * by_total for gradient in ctx.saved_tensors)
        return (*scaled, None)


def _compute(
    hidden_NW: Tensor, weight_VW: Tensor, rows: _Rows, *, wants_hidden: bool, wants_weight: bool
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Both losses, and the gradients of the first by the hidden states and by the weight, where they are wanted."""
    wide = torch.promote_types(hidden_NW.dtype, torch.float32)
    factors = hidden_NW.dtype
    kept_R = rows.weights_N.nonzero().squeeze(1)
    some = len(kept_R) < len(rows.weights_N)
    hidden_RW, targets_R, weights_R = (
        part.index_select(0, kept_R) if some else part for part in (hidden_NW, rows.targets_N, rows.weights_N)
    )
    hidden_RW, projection_VW, weights_R = hidden_RW.to(factors), weight_VW.to(factors), weights_R.to(wide)
    losses_R, norms_R = torch.empty_like(weights_R), torch.empty_like(weights_R)
    by_hidden_RW = torch.empty_like(hidden_RW) if wants_hidden else None
    by_weight_VW = None
    for begin in range(0, len(kept_R), rows.chunk):
        at = slice(begin, begin + rows.chunk)
        logits_CV = _logits(hidden_RW[at], projection_VW, wide)
        losses_R[at], norms_R[at], by_logits_CV = rows.on_chunk(
            logits_CV, targets_R[at], weights_R[at], rows.z_loss, factors
        )
        if by_hidden_RW is not None:
            by_hidden_RW[at] = rows_times(by_logits_CV, projection_VW.t())
        if wants_weight:
            by_weight_VW = _added(by_weight_VW, by_logits_CV, hidden_RW[at], wide)
        del logits_CV, by_logits_CV  # before those of the next chunk are made
    plain = (weights_R * losses_R).sum()
    total = plain + rows.z_loss * (weights_R * norms_R.square()).sum()
    if by_hidden_RW is not None:
        by_hidden_RW = by_hidden_RW.to(hidden_NW.dtype)
        if some:
            by_hidden_RW = torch.zeros_like(hidden_NW).index_copy_(0, kept_R, by_hidden_RW)
    if wants_weight:
        by_weight_VW = torch.zeros_like(weight_VW) if by_weight_VW is None else by_weight_VW.to(weight_VW.dtype)
    return total, plain, by_hidden_RW, by_weight_VW


def _logits(hidden_CW: Tensor, projection_VW: Tensor, wide: torch.dtype) -> Tensor:
    if hidden_CW.is_cuda:
        return _product(hidden_CW, projection_VW.t(), wide)
    return rows_times(hidden_CW, projection_VW)


def _added(total_VW: Tensor | None, by_logits_CV: Tensor, hidden_CW: Tensor, wide: torch.dtype) -> Tensor:
    """The gradient of the weight by the chunks so far and by one more."""
    if total_VW is not None and hidden_CW.dtype == wide:
        return total_VW.addmm_(by_logits_CV.t(), hidden_CW)
    by_chunk_VW = _product(by_logits_CV.t(), hidden_CW, wide)
    return by_chunk_VW if total_VW is None else total_VW.to(wide).add_(by_chunk_VW)


def _product(a_MK: Tensor, b_KN: Tensor, wide: torch.dtype) -> Tensor:
    """``a b``: in fp32 by CUDA, which adds products of narrower numbers up in it; of other devices in their dtype."""
    if a_MK.is_cuda and a_MK.dtype != wide:
        return torch.mm(a_MK, b_KN, out_dtype=wide)
    return torch.mm(a_MK, b_KN)
