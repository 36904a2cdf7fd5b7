"""On processors that multiply whole numbers, the inputs become whole numbers too, of 16 bits; elsewhere, by rows.

An input row is ``(256 h + l) * step``, with a step of its own and h and l from -128 to 127, so that x W^T is two rows
of a product of eight-bit numbers. Its sums are whole numbers, so exact: a row has the same bits whatever rows are
computed beside it. The inputs are off by ``max |x| / 65278`` at most. Such a product is faster than torch's own for
weights of eight bits and than one with the weights made numbers of x, at 1 to 1,024 rows.

Where whole numbers are not multiplied, torch's own kernel is the fastest with few rows of bf16: it needs a time for
each row, and to make the weights numbers of x needs one for all. They meet at 8 to 32 rows. With numbers in fp32 it is
a plain loop, an order of magnitude slower than fp32 products, and is not used.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from evalharness.stack.kernels.int8_linear.weights import Int8Weight, takes_whole_numbers
from evalharness.stack.kernels.op import in_exact
from evalharness.stack.kernels.tiles import in_blocks

FEW = 8
"""Rows up to which torch's kernel for eight bits is used."""
BLOCK = 256
"""Rows of the weight that are made numbers of x at a time: they stay in a processor's cache."""
FURTHEST = 32639
"""Largest absolute input in steps: with the digits' zeros added it is below 2^16."""
ZERO = 128
"""What stands for 0 in each digit of an input; oneDNN's products want digits from 0 to 255."""
SMALLEST = 1e-30
"""An input row that is smaller counts as 0: its step is still a normal number."""


def int8_linear(x: Tensor, weight: Int8Weight, bias_N: Tensor | None = None) -> Tensor:
    x_MK = x.reshape(x.shape[:-1].numel(), x.shape[-1])
    native = x.device.type == "cpu" and x.dtype == torch.bfloat16 and not in_exact()
    if len(x_MK) and (weight.native or takes_whole_numbers(weight)):
        product = _whole_numbers(x_MK, weight).to(x.dtype)
    elif native and 0 < len(x_MK) <= FEW and weight.numbers_NK.numel():
        product = torch._weight_int8pack_mm(x_MK.contiguous(), weight.numbers_NK, weight.scales_N)
    elif in_exact():
        product = in_blocks(x_MK, lambda rows_MK: _whole(rows_MK, weight))
    else:
        product = _whole(x_MK, weight)
    if bias_N is not None:
        product += bias_N
    return product.view(*x.shape[:-1], weight.outputs)


def _whole(x_MK: Tensor, weight: Int8Weight) -> Tensor:
    product = x_MK.new_empty(len(x_MK), weight.outputs)
    for begin in range(0, weight.outputs if len(x_MK) else 0, BLOCK):
        rows = slice(begin, begin + BLOCK)
        product[:, rows] = (x_MK @ weight.numbers_NK[rows].to(x_MK.dtype).T).mul_(weight.scales_N[rows])
    return product


def _whole_numbers(x_MK: Tensor, weight: Int8Weight) -> Tensor:
    wide_MK = x_MK.contiguous().float()
    largest_M1 = torch.linalg.vector_norm(wide_MK, torch.inf, 1, keepdim=True).clamp_(min=SMALLEST)
    # Half a step more, as what becomes a whole number is cut; then the bytes of the number are its digits.
    numbers_MK = torch.addcdiv(_zero(), wide_MK, largest_M1, value=FURTHEST).to(torch.int32)
    digits_MK2 = numbers_MK.view(torch.uint8).view(*wide_MK.shape, 4)[..., :2]
    digits_2MK = digits_MK2.permute(2, 0, 1).reshape(2 * len(wide_MK), -1)
    if weight.native:
        # Scales come behind it: kernels for few and for many rows multiply by them in different orders.
        one, zero = _units()
        sums_2MN = torch.ops.onednn.qlinear_pointwise(
            digits_2MK, 1.0, ZERO, weight.numbers_NK, one, zero, None, 1.0, 0, torch.float32, "none", [], ""
        )
    else:
        sums_2MN = torch._int_mm((digits_2MK ^ ZERO).view(torch.int8), weight.numbers_NK.T).float()
    low_MN, high_MN = sums_2MN.chunk(2)
    found: Tensor = low_MN.add_(high_MN, alpha=256).mul_(largest_M1 / FURTHEST).mul_(weight.scales_N.float())
    return found


@cache
def _units() -> tuple[Tensor, Tensor]:
    """A scale of 1 and a zero of 0."""
    return torch.ones(1), torch.zeros(1, dtype=torch.int32)


@cache
def _zero() -> Tensor:
    """What stands for 0 in both digits, and half a step."""
    return torch.tensor(257 * ZERO + 0.5)
