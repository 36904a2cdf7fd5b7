"""By torch's own norm, in fp32 inside."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def rms_norm(x: Tensor, weight_W: Tensor, epsilon: float) -> Tensor:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return F.rms_norm(wide, x.shape[-1:], eps=epsilon).to(x.dtype) * weight_W


def add_rms_norm(x: Tensor, residual: Tensor, weight_W: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    total = x + residual
    return rms_norm(total, weight_W, epsilon), total
