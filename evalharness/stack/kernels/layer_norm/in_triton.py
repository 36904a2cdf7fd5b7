"""A program a row forward; backward one for a block of rows, which adds up its shares of the parameters' gradients.

With ``n = (x - mean) r``, ``r = 1 / sqrt(variance + epsilon)`` and g the gradient by y: ``by_weight = sum g n``,
``by_bias = sum g`` over rows, and ``by_x = r (g w - mean(g w) - n mean(g w n))``. The shares are added by torch in a
fixed order: there are no atomics.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from evalharness.stack.kernels.launching import SHARES, on_device_of, row_block, row_warps, rows_of


@triton.jit
def _forward(
    x, weight, bias, y, mean, scale, width, x_stride, epsilon, BIASED: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    numbers = tl.load(x + row * x_stride + columns, inside, 0.0).to(tl.float32)
    middle = tl.sum(numbers, 0) / width
    centred = tl.where(inside, numbers - middle, 0.0)
    rooted = tl.math.rsqrt(tl.sum(centred * centred, 0) / width + epsilon)
    tl.store(mean + row, middle)
    tl.store(scale + row, rooted)
    normed = centred * rooted * tl.load(weight + columns, inside, 0.0).to(tl.float32)
    if BIASED:
        normed += tl.load(bias + columns, inside, 0.0).to(tl.float32)
    tl.store(y + row * width + columns, normed, inside)


@triton.jit
def _backward(
    by_y, x, weight, mean, scale, by_x, by_weight, by_bias, rows, width, by_y_stride, x_stride, rows_each,
    BLOCK: tl.constexpr,
):  # fmt: skip
    share = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    weights = tl.load(weight + columns, inside, 0.0).to(tl.float32)
    weight_share = tl.zeros((BLOCK,), tl.float32)
    bias_share = tl.zeros((BLOCK,), tl.float32)
    for row in range(share * rows_each, tl.minimum((share + 1) * rows_each, rows)):
        gradient = tl.load(by_y + row * by_y_stride + columns, inside, 0.0).to(tl.float32)
        rooted = tl.load(scale + row)
        numbers = tl.load(x + row * x_stride + columns, inside, 0.0).to(tl.float32)
        normed = tl.where(inside, (numbers - tl.load(mean + row)) * rooted, 0.0)
        weight_share += gradient * normed
        bias_share += gradient
        weighted = gradient * weights
        found = rooted * (weighted - tl.sum(weighted, 0) / width - normed * (tl.sum(weighted * normed, 0) / width))
        tl.store(by_x + row * width + columns, found, inside)
    tl.store(by_weight + share * width + columns, weight_share, inside)
    tl.store(by_bias + share * width + columns, bias_share, inside)


def layer_norm(x: Tensor, weight_W: Tensor, bias_W: Tensor | None, epsilon: float) -> Tensor:
    normed: Tensor = _LayerNorm.apply(x, weight_W, bias_W, epsilon)
    return normed


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_W: Tensor, bias_W: Tensor | None, epsilon: float) -> Tensor:
        x_NW, weight_W = rows_of(x), weight_W.contiguous()
        rows, width = x_NW.shape
        y = x.new_empty(x.shape)
        mean_N, scale_N = (x.new_empty(rows, dtype=torch.float32) for _ in range(2))
        block = row_block(width)
        if y.numel():
            with on_device_of(x):
                _forward[(rows,)](
                    x_NW, weight_W, weight_W if bias_W is None else bias_W.contiguous(), y, mean_N, scale_N, width,
                    x_NW.stride(0), epsilon, BIASED=bias_W is not None, BLOCK=block, num_warps=row_warps(block),
                )  # fmt: skip
        ctx.save_for_backward(x_NW, weight_W, mean_N, scale_N)
        ctx.bias_dtype = None if bias_W is None else bias_W.dtype
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_y: Tensor) -> tuple[Tensor | None, ...]:
        x_NW, weight_W, mean_N, scale_N = ctx.saved_tensors
        rows, width = x_NW.shape
        by_x, by_y_NW = x_NW.new_empty(by_y.shape), rows_of(by_y)
        each = max(triton.cdiv(rows, SHARES), 1)
        shares = triton.cdiv(rows, each)
        by_weight_SW, by_bias_SW = (x_NW.new_empty((shares, width), dtype=torch.float32) for _ in range(2))
        block = row_block(width)
        if by_x.numel():
            with on_device_of(by_y):
                _backward[(shares,)](
                    by_y_NW, x_NW, weight_W, mean_N, scale_N, by_x, by_weight_SW, by_bias_SW, rows, width,
                    by_y_NW.stride(0), x_NW.stride(0), each, BLOCK=block, num_warps=row_warps(block),
                )  # fmt: skip
        by_bias_W = None if ctx.bias_dtype is None else by_bias_SW.sum(0).to(ctx.bias_dtype)
        return by_x, by_weight_SW.sum(0).to(weight_W.dtype), by_bias_W, None
