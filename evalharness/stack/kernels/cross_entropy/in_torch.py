"""By torch's own cross entropy; the logits are made fp32 first."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.kernels.cross_entropy import IGNORED


def cross_entropy(logits_NV: Tensor, targets_N: Tensor, z_loss: float = 0.0) -> Tensor:
    wide_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
    losses_N = F.cross_entropy(wide_NV, targets_N, ignore_index=IGNORED, reduction="none")
    if not z_loss:
        return losses_N
    return losses_N + z_loss * wide_NV.logsumexp(1).square() * (targets_N != IGNORED)
