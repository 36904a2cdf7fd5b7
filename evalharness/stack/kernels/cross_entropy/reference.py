"""The formula as it stands."""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.kernels.cross_entropy import IGNORED


def cross_entropy(logits_NV: Tensor, targets_N: Tensor, z_loss: float = 0.0) -> Tensor:
    wide_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
    norms_N = wide_NV.logsumexp(1)
    counts_N = targets_N != IGNORED
    own_N = wide_NV.gather(1, targets_N.where(counts_N, 0)[:, None]).squeeze(1)
    return (norms_N - own_N + z_loss * norms_N.square()) * counts_N
