"""By torch's own norm, in fp32 inside."""

from __future__ import annotations

import torch
from torch import Tensor

_NARROW = (torch.bfloat16, torch.float16)


def rms_norm(x: Tensor, weight_W: Tensor, epsilon: float) -> Tensor:
    dtype = x.dtype
    if dtype is weight_W.dtype and dtype not in _NARROW:
        return torch.rms_norm(x, weight_W.shape, weight_W, epsilon)
    normed = torch.rms_norm(x, weight_W.shape, None, epsilon)
    if normed.dtype is not dtype:  # autocast has made fp32 of it
        normed = normed.to(dtype)
    return normed * weight_W  # rounded before it meets the weight, as in Hugging Face's models


def add_rms_norm(x: Tensor, residual: Tensor, weight_W: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    total = x + residual
    return rms_norm(total, weight_W, epsilon), total
