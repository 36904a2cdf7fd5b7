"""By rows: torch's own kernel for processors is the fastest with few of them, and whole products are with more.

That kernel needs a time for each row, and to make the weights whole numbers needs one for all: they meet at 128
rows of bf16. With numbers in fp32 it is a plain loop, an order of magnitude slower than fp32 products, and is not used:
four bits pay in bf16 only. Its bits of a row do not depend on other rows, so that in `exact` it serves for all of them;
whole products have 64 rows each there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.kernels.int4_linear.weights import Int4Weight, padded
from evalharness.stack.kernels.op import in_exact
from evalharness.stack.kernels.tiles import in_blocks

FEW = 128
"""Rows up to which torch's kernel for four bits is used."""
BLOCK = 256
"""Rows of the weight that are made numbers of x at a time: they stay in a processor's cache."""


def int4_linear(x: Tensor, weight: Int4Weight, bias_N: Tensor | None = None) -> Tensor:
    x_MK = x.reshape(x.shape[:-1].numel(), x.shape[-1])
    product: Tensor
    few = len(x_MK) > 0 and (len(x_MK) <= FEW or in_exact())
    if weight.native and x.dtype == torch.bfloat16 and few:
        product = torch.ops.aten._weight_int4pack_mm_for_cpu(
            padded(x_MK, weight).contiguous(), weight.packed_NB, weight.group, weight.scales_zeros_SN2
        )
    elif in_exact():
        product = in_blocks(x_MK, lambda rows_MK: _whole(rows_MK, weight))
    else:
        product = _whole(x_MK, weight)
    if bias_N is not None:
        product += bias_N
    return product.view(*x.shape[:-1], weight.outputs)


def _whole(x_MK: Tensor, weight: Int4Weight) -> Tensor:
    product = x_MK.new_empty(len(x_MK), weight.outputs)
    x_MK = padded(x_MK, weight)
    for begin in range(0, weight.outputs, BLOCK):
        rows = slice(begin, begin + BLOCK)
        if weight.native:
            by_block = x_MK @ weight.transposed(x_MK.dtype, rows)
            product[:, rows] = by_block.transpose(0, 1).flatten(1)
        else:
            product[:, rows] = x_MK[:, : weight.columns] @ weight.dequantized(x_MK.dtype, rows).T
    return product
