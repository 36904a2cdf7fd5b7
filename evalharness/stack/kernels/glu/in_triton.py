"""A program for a block of a row: one read of gate and up, one write; backward computes the activation again.

With ``y = f(a) b``: ``by_a = g b f'(a)`` and ``by_b = g f(a)``, both written where a and b stood.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from evalharness.stack.kernels.launching import on_device_of, row_block, rows_of

BLOCK = 1024


@triton.jit
def _activation(x, NAME: tl.constexpr):
    """The value and its derivative."""
    if NAME == "swish":
        sigmoid = tl.sigmoid(x)
        return x * sigmoid, sigmoid * (1 + x * (1 - sigmoid))
    if NAME == "gelu":
        below = 0.5 * (1 + tl.math.erf(x * 0.7071067811865476))
        return x * below, below + x * 0.3989422804014327 * tl.exp(-0.5 * x * x)
    if NAME == "gelu_tanh":
        # tanh(z) = 2 sigmoid(2 z) - 1
        tanh = 2 * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x)) - 1
        inner = 0.7978845608028654 * (1 + 0.134145 * x * x)
        return 0.5 * x * (1 + tanh), 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * inner
    return tl.where(x > 0, x, 0.0), tl.where(x > 0, 1.0, 0.0)


@triton.jit
def _forward(gate_up, y, width, stride, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    gate = tl.load(gate_up + row * stride + column, inside, 0.0).to(tl.float32)
    up = tl.load(gate_up + row * stride + width + column, inside, 0.0).to(tl.float32)
    value, _ = _activation(gate, ACTIVATION)
    tl.store(y + row * width + column, value * up, inside)


@triton.jit
def _backward(
    by_y, gate_up, by_gate_up, width, by_y_stride, stride, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    gradient = tl.load(by_y + row * by_y_stride + column, inside, 0.0).to(tl.float32)
    gate = tl.load(gate_up + row * stride + column, inside, 0.0).to(tl.float32)
    up = tl.load(gate_up + row * stride + width + column, inside, 0.0).to(tl.float32)
    value, slope = _activation(gate, ACTIVATION)
    tl.store(by_gate_up + row * 2 * width + column, gradient * up * slope, inside)
    tl.store(by_gate_up + row * 2 * width + width + column, gradient * value, inside)


def glu(gate_up: Tensor, activation: str) -> Tensor:
    gated: Tensor = _GLU.apply(gate_up, activation)
    return gated


class _GLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor, activation: str) -> Tensor:
        gate_up_N2W = rows_of(gate_up)
        width = gate_up.shape[-1] // 2
        y = gate_up.new_empty((*gate_up.shape[:-1], width))
        block = min(BLOCK, row_block(width))
        if y.numel():
            with on_device_of(gate_up):
                _forward[(len(gate_up_N2W), triton.cdiv(width, block))](
                    gate_up_N2W, y, width, gate_up_N2W.stride(0), ACTIVATION=activation, BLOCK=block
                )
        ctx.save_for_backward(gate_up_N2W)
        ctx.activation, ctx.shape = activation, gate_up.shape
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_y: Tensor) -> tuple[Tensor, None]:
        (gate_up_N2W,) = ctx.saved_tensors
        by_y_NW = rows_of(by_y)
        by_gate_up = by_y.new_empty(ctx.shape)
        width = by_y_NW.shape[1]
        block = min(BLOCK, row_block(width))
        if by_y.numel():
            with on_device_of(by_y):
                _backward[(len(by_y_NW), triton.cdiv(width, block))](
                    by_y_NW, gate_up_N2W, by_gate_up, width, by_y_NW.stride(0), gate_up_N2W.stride(0),
                    ACTIVATION=ctx.activation, BLOCK=block,
                )  # fmt: skip
        return by_gate_up, None
