"""The formula as it stands."""

from __future__ import annotations

import torch
from torch import Tensor


def layer_norm(x: Tensor, weight_W: Tensor, bias_W: Tensor | None, epsilon: float) -> Tensor:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(-1, keepdim=True)
    normed = centred * (centred.square().mean(-1, keepdim=True) + epsilon).rsqrt() * weight_W.to(wide.dtype)
    return (normed if bias_W is None else normed + bias_W.to(wide.dtype)).to(x.dtype)
