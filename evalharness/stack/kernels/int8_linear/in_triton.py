"""Two kernels, each with a program for a tile of outputs, whose weights become numbers of x in registers.

Few rows wait for the bytes of the weight. Blocks of inputs are multiplied side by side, each by warps of its own, as
there are too few outputs to occupy a GPU.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.int8_linear import TILES
from evalharness.stack.kernels.int8_linear.weights import Int8Weight, plain
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of, target_of


@triton.jit
def _few(
    x, numbers, scales, bias, y, rows, outputs, inputs, x_stride, numbers_stride, BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, SLICES: tl.constexpr, EVEN: tl.constexpr, BIAS: tl.constexpr,
    UPCAST: tl.constexpr,
):  # fmt: skip
    """``y_mn = s_n sum_k x_mk q_nk + b_n``; `EVEN` says that the inputs are a multiple of what is read at once."""
    at_M = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    at_N = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    place = tl.arange(0, SLICES)[:, None, None] * BLOCK_K + tl.arange(0, BLOCK_K)[None, None, :]
    here = (at_M < rows)[None, :, None]
    # Outputs behind the last are the last: what comes of them is not stored.
    there = tl.minimum(at_N, outputs - 1)
    x_rows = x + at_M[None, :, None].to(tl.int64) * x_stride
    numbers_of_rows = numbers + there[None, :, None].to(tl.int64) * numbers_stride
    sums = tl.zeros((SLICES, BLOCK_N, BLOCK_M), tl.float32)
    for begin in range(0, inputs, SLICES * BLOCK_K):
        at_K = begin + place
        if EVEN:
            part = tl.load(x_rows + at_K, here, 0.0)
            weight = tl.load(numbers_of_rows + at_K)
        else:
            part = tl.load(x_rows + at_K, here & (at_K < inputs), 0.0)
            weight = tl.load(numbers_of_rows + at_K, at_K < inputs, 0)
        if UPCAST:
            part = part.to(tl.float32)
        sums = tl.dot(weight.to(part.dtype), tl.permute(part, (0, 2, 1)), sums, input_precision="ieee")
    found = tl.sum(sums, 0) * tl.load(scales + there).to(tl.float32)[:, None]
    if BIAS:
        found += tl.load(bias + there).to(tl.float32)[:, None]
    inside = (at_M[None, :] < rows) & (at_N[:, None] < outputs)
    tl.store(y + at_M[None, :].to(tl.int64) * outputs + at_N[:, None], found.to(y.dtype.element_ty), inside)


@triton.jit
def _many(
    x, numbers, scales, bias, y, rows, outputs, inputs, x_stride, numbers_stride, BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, EVEN: tl.constexpr, BIAS: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """As `_few`."""
    at_M = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    at_N = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    # Rows and outputs behind the last are the last: what comes of them is not stored.
    there = tl.minimum(at_N, outputs - 1)
    x_rows = x + tl.minimum(at_M, rows - 1)[:, None].to(tl.int64) * x_stride
    numbers_of_rows = numbers + there[:, None].to(tl.int64) * numbers_stride
    sums = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for begin in range(0, inputs, BLOCK_K):
        at_K = begin + tl.arange(0, BLOCK_K)[None, :]
        if EVEN:
            part = tl.load(x_rows + at_K)
            weight = tl.load(numbers_of_rows + at_K)
        else:
            part = tl.load(x_rows + at_K, at_K < inputs, 0.0)
            weight = tl.load(numbers_of_rows + at_K, at_K < inputs, 0)
        if UPCAST:
            part = part.to(tl.float32)
        sums = tl.dot(part, tl.trans(weight.to(part.dtype)), sums, input_precision="ieee")
    sums *= tl.load(scales + there).to(tl.float32)[None, :]
    if BIAS:
        sums += tl.load(bias + there).to(tl.float32)[None, :]
    inside = (at_M[:, None] < rows) & (at_N[None, :] < outputs)
    tl.store(y + at_M[:, None].to(tl.int64) * outputs + at_N[None, :], sums.to(y.dtype.element_ty), inside)


def int8_linear(x: Tensor, weight: Int8Weight, bias_N: Tensor | None = None) -> Tensor:
    weight = plain(weight)
    (outputs, inputs), rows = weight.numbers_NK.shape, x.shape[:-1].numel()
    x_MK = x.reshape(rows, inputs)
    if x_MK.stride(-1) != 1:
        x_MK = x_MK.contiguous()
    y = torch.empty(*x.shape[:-1], outputs, dtype=x.dtype, device=x.device)
    if y.numel():
        tiles = TILES[target_of(x)]["halves" if x.element_size() == 2 else "whole"]
        tile = next((each for each in tiles if rows <= each.rows), tiles[-1])
        with on_device_of(x):
            (_few if tile.slices else _many)[(triton.cdiv(outputs, tile.outputs), triton.cdiv(rows, tile.rows))](
                x_MK, weight.numbers_NK, weight.scales_N, x_MK if bias_N is None else bias_N.contiguous(), y, rows,
                outputs, inputs, x_MK.stride(0), weight.numbers_NK.stride(0),
                EVEN=inputs % (tile.inputs * max(1, tile.slices)) == 0, BIAS=bias_N is not None, UPCAST=INTERPRETED,
                num_warps=tile.warps, num_stages=tile.stages, **tile.constants(),
            )  # fmt: skip
    return y
