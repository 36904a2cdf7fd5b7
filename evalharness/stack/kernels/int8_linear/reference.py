"""The product with the weights as numbers of a wide format."""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.kernels.int8_linear.weights import Int8Weight, plain


def int8_linear(x: Tensor, weight: Int8Weight, bias_N: Tensor | None = None) -> Tensor:
    dtype = torch.promote_types(x.dtype, torch.float32)
    product = x.to(dtype) @ plain(weight).dequantized(dtype).T
    return (product if bias_N is None else product + bias_N.to(dtype)).to(x.dtype)
