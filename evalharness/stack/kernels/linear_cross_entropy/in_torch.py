"""What is done to the logits of a chunk, by torch: in few passes over one memory, or compiled."""

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
    prepare = _prepare_compiled if compiled else InPlace
    return in_chunks(hidden_NW, weight_VW, targets_N, weights_N, z_loss, chunk, prepare)


def _prepare_compiled(rows: int, vocabulary: int, like: Tensor) -> OnChunk:
    return _compiled()


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
def _compiled() -> OnChunk:
    return torch.compile(on_logits)


class InPlace:
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
