"""A program for all heads of a token: one read and one write of each number, in fp32 inside.

The gradient is turned back: a rotation's transpose is the rotation by the opposite angle, also where it is scaled.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from evalharness.stack.kernels.launching import on_device_of, row_block, row_warps

HEADS = 16
"""That a program turns at most."""


@triton.jit(do_not_specialize=["places"])  # one kernel for any number of tokens
def _turn(
    x, cos, sin, y, heads, size, half, places, token_stride, head_stride,
    BACK: tl.constexpr, REST: tl.constexpr, HEADS: tl.constexpr, HALF: tl.constexpr, KEPT: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1) * HEADS + tl.arange(0, HEADS)
    pair = tl.arange(0, HALF)
    angle = (token % places) * 2 * half + pair
    cosine = tl.load(cos + angle, pair < half, 0.0).to(tl.float32)[None, :]
    sine = tl.load(sin + angle + half, pair < half, 0.0).to(tl.float32)[None, :]
    if BACK:
        sine = -sine
    read = x + token * token_stride + head[:, None] * head_stride
    write = y + (token * heads + head[:, None]) * size
    inside = (head[:, None] < heads) & (pair[None, :] < half)
    first = tl.load(read + pair[None, :], inside, 0.0).to(tl.float32)
    second = tl.load(read + half + pair[None, :], inside, 0.0).to(tl.float32)
    tl.store(write + pair[None, :], first * cosine - second * sine, inside)
    tl.store(write + half + pair[None, :], second * cosine + first * sine, inside)
    if REST:
        column = 2 * half + tl.arange(0, KEPT)[None, :]
        rest = (head[:, None] < heads) & (column < size)
        tl.store(write + column, tl.load(read + column, rest, 0.0), rest)


def rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    turned: Tensor = _Rope.apply(x, cos, sin)
    return turned


class _Rope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        if cos.shape[:-2] != x.shape[x.dim() - cos.dim() : -2]:  # else tokens of all batches read the same
            cos, sin = (part.expand(*x.shape[:-2], 1, -1) for part in (cos, sin))
        cos_TE, sin_TE = (part.reshape(-1, part.shape[-1]).contiguous() for part in (cos, sin))
        ctx.save_for_backward(cos_TE, sin_TE)
        ctx.dtype = x.dtype
        return _turned(x, cos_TE, sin_TE, torch.promote_types(x.dtype, cos.dtype), back=False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_y: Tensor) -> tuple[Tensor, None, None]:
        cos_TE, sin_TE = ctx.saved_tensors
        return _turned(by_y, cos_TE, sin_TE, ctx.dtype, back=True), None, None


def _turned(x: Tensor, cos_TE: Tensor, sin_TE: Tensor, dtype: torch.dtype, *, back: bool) -> Tensor:
    x_THD = x.reshape(-1, *x.shape[-2:])
    if x_THD.stride(-1) != 1:
        x_THD = x_THD.contiguous()
    y = x.new_empty(x.shape, dtype=dtype)
    tokens, heads, size = x_THD.shape
    half = cos_TE.shape[-1] // 2
    together = min(HEADS, row_block(heads))
    block, kept = row_block(half), row_block(size - 2 * half)
    if y.numel():
        with on_device_of(x):
            _turn[(tokens, triton.cdiv(heads, together))](
                x_THD, cos_TE, sin_TE, y, heads, size, half, len(cos_TE), x_THD.stride(0), x_THD.stride(1),
                BACK=back, REST=size > 2 * half, HEADS=together, HALF=block, KEPT=kept,
                num_warps=row_warps(together * max(block, kept)),
            )  # fmt: skip
    return y
