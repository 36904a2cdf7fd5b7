"""What is done to the logits of a chunk, by torch: in few passes over their own memory, or compiled."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from evalharness.stack.kernels.linear_cross_entropy.chunks import OnChunk, in_chunks


def linear_cross_entropy(
    hidden_NW: Tensor,
    weight_VW: Tensor,
    targets_N: Tensor,
    weights_N: Tensor,
    z_loss: float = 0.0,
    chunk: int | None = None,
    compiled: bool = False,
) -> tuple[Tensor, Tensor]:
    on_chunk = _compiled() if compiled else in_place
    return in_chunks(hidden_NW, weight_VW, targets_N, weights_N, z_loss, chunk, on_chunk)


def on_logits(
    logits_CV: Tensor, targets_C: Tensor, weights_C: Tensor, z_loss: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Losses without weights, logsumexp, and the gradient of the weighted loss with z-loss by the logits."""
    logits_CV = logits_CV.to(weights_C.dtype)
    norms_C = logits_CV.logsumexp(1)
    losses_C = norms_C - logits_CV.gather(1, targets_C[:, None]).squeeze(1)
    softmax_CV = (logits_CV - norms_C[:, None]).exp()
    onehot_CV = torch.arange(logits_CV.shape[1], device=logits_CV.device) == targets_C[:, None]
    by_logits_CV = weights_C[:, None] * (softmax_CV * (1 + 2 * z_loss * norms_C)[:, None] - onehot_CV.float())
    return losses_C, norms_C, by_logits_CV.to(dtype)


@cache
def _compiled() -> OnChunk:
    return torch.compile(on_logits)


def in_place(
    logits_CV: Tensor, targets_C: Tensor, weights_C: Tensor, z_loss: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """`on_logits` in few passes; the gradient takes the place of the logits, where these are of its dtype."""
    wide_CV = logits_CV.to(weights_C.dtype)
    largest_C = wide_CV.amax(1)
    at_target_C = wide_CV.gather(1, targets_C[:, None]).squeeze(1)
    softmax_CV = torch.softmax(wide_CV, dim=1, out=wide_CV)
    # The largest probability is exp(0) over the sum of exponentials, which spares another pass of them.
    norms_C = largest_C - softmax_CV.amax(1).log()
    softmax_CV.mul_((weights_C * (1 + 2 * z_loss * norms_C))[:, None])
    by_target_C1 = softmax_CV.gather(1, targets_C[:, None]) - weights_C[:, None]
    softmax_CV.scatter_(1, targets_C[:, None], by_target_C1)
    if logits_CV is not softmax_CV and logits_CV.dtype == dtype:
        logits_CV.copy_(softmax_CV)
    else:
        logits_CV = softmax_CV.to(dtype)
    return norms_C - at_target_C, norms_C, logits_CV
