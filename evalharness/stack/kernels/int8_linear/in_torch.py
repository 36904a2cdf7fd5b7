"""By rows: torch's own kernel for processors is the fastest with few of them, and whole products are with more.

That kernel needs a time for each row, and to make the weights whole numbers needs one for all: they meet at 8 to 32
rows of bf16. With numbers in fp32 it is a plain loop, an order of magnitude slower than fp32 products, and is not used.
"""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.kernels.int8_linear.weights import Int8Weight

FEW = 8
"""Rows up to which torch's kernel for eight bits is used."""
BLOCK = 256
"""Rows of the weight that are made numbers of x at a time: they stay in a processor's cache."""


def int8_linear(x: Tensor, weight: Int8Weight, bias_N: Tensor | None = None) -> Tensor:
    x_MK = x.reshape(x.shape[:-1].numel(), x.shape[-1])
    native = x.device.type == "cpu" and x.dtype == torch.bfloat16
    if native and 0 < len(x_MK) <= FEW and weight.numbers_NK.numel():
        product = torch._weight_int8pack_mm(x_MK.contiguous(), weight.numbers_NK, weight.scales_N)
    else:
        product = x.new_empty(len(x_MK), len(weight.numbers_NK))
        for begin in range(0, len(weight.numbers_NK), BLOCK):
            rows = slice(begin, begin + BLOCK)
            product[:, rows] = (x_MK @ weight.numbers_NK[rows].to(x.dtype).T).mul_(weight.scales_N[rows])
    if bias_N is not None:
        product += bias_N
    return product.view(*x.shape[:-1], len(weight.numbers_NK))
