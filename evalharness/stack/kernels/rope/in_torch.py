"""In few operations of torch: halves are exchanged, and the sines bring the sign."""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.layers.rotary import rotate


def rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    turned = cos.shape[-1]
    if turned == x.shape[-1]:
        return rotate(x, cos, sin)
    return torch.cat((rotate(x[..., :turned], cos, sin), x[..., turned:]), dim=-1)
