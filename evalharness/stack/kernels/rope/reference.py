"""The formula as it stands."""

from __future__ import annotations

import torch
from torch import Tensor


def rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    dtype = torch.promote_types(x.dtype, cos.dtype)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    half = cos.shape[-1] // 2
    first, second, kept = wide[..., :half], wide[..., half : 2 * half], wide[..., 2 * half :]
    cos, sin = cos[..., :half].to(wide.dtype), sin[..., half:].to(wide.dtype)
    return torch.cat((first * cos - second * sin, second * cos + first * sin, kept), dim=-1).to(dtype)
