"""Vocabulary projection and cross entropy in one, without ever holding the logits of all tokens.

Rows are taken in chunks, and the gradients of a chunk are computed while its logits are there, in the forward pass
(the order of work of Liger's fused linear cross entropy: Hsu et al. 2024, arXiv:2410.10989). With weights w, targets y,
logits ``l = h W^T`` and the z-loss of PaLM (Chowdhery et al. 2022, arXiv:2204.02311, section 5) the loss is

    sum_n w_n (logsumexp(l_n) - l_n,y + z logsumexp(l_n)^2)

and its gradient by the logits is ``w_n (softmax(l_n) (1 + 2 z logsumexp(l_n)) - onehot(y_n))``.
Letters: N rows, R rows of a weight that is not 0, C rows of a chunk, W width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from evalharness.stack.training.products import rows_times

FEWEST_ROWS = {"cpu": 256, "cuda": 1024}
"""Of a chunk by default: with fewer, adding to the gradient of the weight would take as long as computing it."""
LOGITS = {"cpu": 2**21, "cuda": 2**27}
"""Of a chunk by default, at most, where that is more rows: what a processor's cache holds; what fills a GPU."""


def linear_cross_entropy(
    hidden_NW: Tensor,
    weight_VW: Tensor,
    targets_N: Tensor,
    weights_N: Tensor,
    z_loss: float = 0.0,
    chunk: int | None = None,
    compiled: bool = False,
) -> tuple[Tensor, Tensor]:
    """The sum of weighted losses, z-loss included, and the sum of weighted losses without it, which has no gradient.

    Both are scalars. Logits, softmax and the gradient of the weight are computed in at least fp32 whatever the dtypes;
    the factors of the products are of the hidden states' dtype on CUDA (under autocast of autocast's), fp32 elsewhere.
    Rows of weight 0 are left out, whatever their hidden states and targets. Gradients are of first order only. Chunks
    always go in the same order.

    Args:
        chunk: rows computed at once; None takes what is fast.
        compiled: make one kernel of what is done to a chunk's logits, by torch.compile; meant for GPUs.
    """
    kind = hidden_NW.device.type
    if kind == "cuda" and torch.is_autocast_enabled(kind):
        hidden_NW = hidden_NW.to(torch.get_autocast_dtype(kind))
    rows = _Rows(targets_N, weights_N, z_loss, chunk or rows_at_once(kind, weight_VW.shape[0]), compiled)
    with torch.autocast(kind, enabled=False):
        if torch.is_grad_enabled() and (hidden_NW.requires_grad or weight_VW.requires_grad):
            found: tuple[Tensor, Tensor] = _LinearCrossEntropy.apply(hidden_NW, weight_VW, rows)  # type: ignore[no-untyped-call]
            return found
        total, plain, _, _ = _compute(hidden_NW, weight_VW, rows, wants_hidden=False, wants_weight=False)
        return total, plain


def rows_at_once(kind: str, vocabulary: int) -> int:
    """Rows of a chunk by default: a power of two, so that the chunks of a usual batch are of one size."""
    most = LOGITS.get(kind, LOGITS["cpu"]) // vocabulary
    return max(FEWEST_ROWS.get(kind, FEWEST_ROWS["cpu"]), 1 << max(0, most.bit_length() - 1))


@dataclass(frozen=True, slots=True)
class _Rows:
    """What each row is to say and how much it counts, and how rows are worked on."""

    targets_N: Tensor
    weights_N: Tensor
    z_loss: float
    chunk: int
    compiled: bool


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
    factors = hidden_NW.dtype if hidden_NW.is_cuda else wide
    kept_R = rows.weights_N.nonzero().squeeze(1)
    some = len(kept_R) < len(rows.weights_N)
    hidden_RW, targets_R, weights_R = (
        part.index_select(0, kept_R) if some else part for part in (hidden_NW, rows.targets_N, rows.weights_N)
    )
    hidden_RW, projection_VW, weights_R = hidden_RW.to(factors), weight_VW.to(factors), weights_R.to(wide)
    losses_R, norms_R = torch.empty_like(weights_R), torch.empty_like(weights_R)
    by_hidden_RW = torch.empty_like(hidden_RW) if wants_hidden else None
    by_weight_VW = torch.zeros_like(projection_VW, dtype=wide) if wants_weight else None
    of_chunk = _compiled() if rows.compiled else _InPlace(min(rows.chunk, len(kept_R)), len(weight_VW), weights_R)
    for begin in range(0, len(kept_R), rows.chunk):
        at = slice(begin, begin + rows.chunk)
        logits_CV = _wide_product(hidden_RW[at], projection_VW, wide)
        losses_R[at], norms_R[at], by_logits_CV = of_chunk(
            logits_CV, targets_R[at], weights_R[at], rows.z_loss, factors
        )
        if by_hidden_RW is not None:
            by_hidden_RW[at] = rows_times(by_logits_CV, projection_VW.t())
        if by_weight_VW is not None:
            _add_product(by_weight_VW, by_logits_CV, hidden_RW[at])
    plain = (weights_R * losses_R).sum()
    total = plain + rows.z_loss * (weights_R * norms_R.square()).sum()
    if by_hidden_RW is not None:
        by_hidden_RW = by_hidden_RW.to(hidden_NW.dtype)
        if some:
            by_hidden_RW = torch.zeros_like(hidden_NW).index_copy_(0, kept_R, by_hidden_RW)
    return total, plain, by_hidden_RW, None if by_weight_VW is None else by_weight_VW.to(weight_VW.dtype)


def on_logits(
    logits_CV: Tensor, targets_C: Tensor, weights_C: Tensor, z_loss: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Losses without weights, logsumexp, and the gradient of the weighted loss with z-loss by the logits."""
    norms_C = logits_CV.logsumexp(1)
    losses_C = norms_C - logits_CV.gather(1, targets_C[:, None]).squeeze(1)
    softmax_CV = (logits_CV - norms_C[:, None]).exp()
    onehot_CV = torch.arange(logits_CV.shape[1], device=logits_CV.device) == targets_C[:, None]
    by_logits_CV = weights_C[:, None] * (softmax_CV * (1 + 2 * z_loss * norms_C)[:, None] - onehot_CV.float())
    return losses_C, norms_C, by_logits_CV.to(dtype)


@cache
def _compiled() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    return torch.compile(on_logits)


class _InPlace:
    """`on_logits` in few passes, over memory that all chunks use; the gradient is valid until the next chunk."""

    def __init__(self, rows: int, vocabulary: int, like: Tensor) -> None:
        self.space_CV = like.new_empty(rows, vocabulary)

    def __call__(
        self, logits_CV: Tensor, targets_C: Tensor, weights_C: Tensor, z_loss: float, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        softmax_CV = torch.softmax(logits_CV, dim=1, out=self.space_CV[: len(logits_CV)])
        # The largest probability is exp(0) over the sum of exponentials, which spares another pass of them.
        norms_C = logits_CV.amax(1) - softmax_CV.amax(1).log()
        losses_C = norms_C - logits_CV.gather(1, targets_C[:, None]).squeeze(1)
        softmax_CV.mul_((weights_C * (1 + 2 * z_loss * norms_C))[:, None])
        at_target_C1 = softmax_CV.gather(1, targets_C[:, None]) - weights_C[:, None]
        return losses_C, norms_C, softmax_CV.scatter_(1, targets_C[:, None], at_target_C1).to(dtype)


def _wide_product(a_MK: Tensor, b_NK: Tensor, wide: torch.dtype) -> Tensor:
    """``a b^T`` in a dtype that may be wider than that of a and b."""
    return rows_times(a_MK, b_NK) if a_MK.dtype == wide else torch.mm(a_MK, b_NK.t(), out_dtype=wide)


def _add_product(total_VW: Tensor, by_logits_CV: Tensor, hidden_CW: Tensor) -> None:
    if hidden_CW.dtype == total_VW.dtype:
        total_VW.addmm_(by_logits_CV.t(), hidden_CW)
    else:
        total_VW += torch.mm(by_logits_CV.t(), hidden_CW, out_dtype=total_VW.dtype)
