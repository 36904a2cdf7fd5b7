"""By torch's own norm, in fp32 inside."""

from __future__ import annotations

import torch
from torch import Tensor

_NARROW = (torch.bfloat16, torch.float16)


def rms_norm(x: Tensor, weight_W: Tensor, epsilon: float) -> Tensor:
    dtype = x.dtype
    if dtype in _NARROW:
        # Rounded before it meets the weight, as in Hugging Face's models.
        return torch.rms_norm(x.float(), x.shape[-1:], None, epsilon).to(dtype) * weight_W
    if dtype == weight_W.dtype:
        return torch.rms_norm(x, x.shape[-1:], weight_W, epsilon)
    return torch.rms_norm(x, x.shape[-1:], None, epsilon) * weight_W


def add_rms_norm(x: Tensor, residual: Tensor, weight_W: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    total = x + residual
    return rms_norm(total, weight_W, epsilon), total
