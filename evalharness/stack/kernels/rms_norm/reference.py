"""The formula as it stands."""

from __future__ import annotations

import torch
from torch import Tensor


def rms_norm(x: Tensor, weight_W: Tensor, epsilon: float) -> Tensor:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    scale = (wide.square().mean(-1, keepdim=True) + epsilon).rsqrt()
    return (wide * scale * weight_W.to(wide.dtype)).to(torch.promote_types(x.dtype, weight_W.dtype))


def add_rms_norm(x: Tensor, residual: Tensor, weight_W: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    total = x + residual
    return rms_norm(total, weight_W, epsilon), total
