"""A program a row forward; backward a program for a block of rows, which adds up its share of the weight's gradient.

With ``n = x r``, ``r = 1 / sqrt(mean(x^2) + epsilon)`` and g the gradient by y: ``by_weight = sum g n`` over rows, and
``by_x = r (g w - n mean(g w n))``. The shares are added by torch in a fixed order: there are no atomics.
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
    x, residual, weight, y, total, scale, width, x_stride, residual_stride, epsilon,
    ADDS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    numbers = tl.load(x + row * x_stride + columns, inside, 0.0).to(tl.float32)
    if ADDS:
        # Rounded as it is kept, so that the norm is that of what others see.
        added = numbers + tl.load(residual + row * residual_stride + columns, inside, 0.0).to(tl.float32)
        kept = added.to(total.dtype.element_ty)
        tl.store(total + row * width + columns, kept, inside)
        numbers = kept.to(tl.float32)
    rooted = tl.math.rsqrt(tl.sum(numbers * numbers, 0) / width + epsilon)
    tl.store(scale + row, rooted)
    weights = tl.load(weight + columns, inside, 0.0).to(tl.float32)
    tl.store(y + row * width + columns, numbers * rooted * weights, inside)


@triton.jit
def _backward(
    by_y, by_total, total, weight, scale, by_x, by_weight, rows, width, by_y_stride, by_total_stride, total_stride,
    rows_each, ADDS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    share = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    weights = tl.load(weight + columns, inside, 0.0).to(tl.float32)
    added = tl.zeros((BLOCK,), tl.float32)
    for row in range(share * rows_each, tl.minimum((share + 1) * rows_each, rows)):
        gradient = tl.load(by_y + row * by_y_stride + columns, inside, 0.0).to(tl.float32)
        rooted = tl.load(scale + row)
        normed = tl.load(total + row * total_stride + columns, inside, 0.0).to(tl.float32) * rooted
        added += gradient * normed
        weighted = gradient * weights
        found = rooted * (weighted - normed * (tl.sum(weighted * normed, 0) / width))
        if ADDS:
            found += tl.load(by_total + row * by_total_stride + columns, inside, 0.0).to(tl.float32)
        tl.store(by_x + row * width + columns, found, inside)
    tl.store(by_weight + share * width + columns, added, inside)


def rms_norm(x: Tensor, weight_W: Tensor, epsilon: float) -> Tensor:
    normed: Tensor = _RMSNorm.apply(x, None, weight_W, epsilon)
    return normed


def add_rms_norm(x: Tensor, residual: Tensor, weight_W: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    normed, total = _RMSNorm.apply(x, residual, weight_W, epsilon)
    return normed, total


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, residual: Tensor | None, weight_W: Tensor, epsilon: float) -> Any:
        x_NW, weight_W = rows_of(x), weight_W.contiguous()
        residual_NW = x_NW if residual is None else rows_of(residual)
        total = x_NW
        if residual is not None:
            total = x.new_empty(x.shape, dtype=torch.promote_types(x.dtype, residual.dtype))
        y = x.new_empty(x.shape, dtype=torch.promote_types(total.dtype, weight_W.dtype))
        scale_N = x.new_empty(len(x_NW), dtype=torch.float32)
        width, block = x.shape[-1], row_block(x.shape[-1])
        if y.numel():
            with on_device_of(x):
                _forward[(len(x_NW),)](
                    x_NW, residual_NW, weight_W, y, total, scale_N, width, x_NW.stride(0), residual_NW.stride(0),
                    epsilon, ADDS=residual is not None, BLOCK=block, num_warps=row_warps(block),
                )  # fmt: skip
        ctx.save_for_backward(rows_of(total), weight_W, scale_N)
        ctx.dtypes = x.dtype, None if residual is None else residual.dtype
        return y if residual is None else (y, total)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_y: Tensor, by_total: Tensor | None = None) -> Any:
        total_NW, weight_W, scale_N = ctx.saved_tensors
        by_x = by_y.new_empty(by_y.shape, dtype=total_NW.dtype)
        by_y_NW = rows_of(by_y)
        by_total_NW = by_y_NW if by_total is None else rows_of(by_total)
        rows, width = total_NW.shape
        each = max(triton.cdiv(rows, SHARES), 1)
        shares = triton.cdiv(rows, each)
        by_weight_SW = total_NW.new_empty((shares, width), dtype=torch.float32)
        block = row_block(width)
        if by_x.numel():
            with on_device_of(by_y):
                _backward[(shares,)](
                    by_y_NW, by_total_NW, total_NW, weight_W, scale_N, by_x, by_weight_SW, rows, width,
                    by_y_NW.stride(0), by_total_NW.stride(0), total_NW.stride(0), each,
                    ADDS=by_total is not None, BLOCK=block, num_warps=row_warps(block),
                )  # fmt: skip
        by_both = (None if dtype is None else by_x.to(dtype) for dtype in ctx.dtypes)
        return *by_both, by_weight_SW.sum(0).to(weight_W.dtype), None
