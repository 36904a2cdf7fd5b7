"""A program for a tile of outputs, which reads its weights once; they become numbers of x in registers."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.int8_linear.weights import Int8Weight, plain
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of


@triton.jit
def _forward(
    x, numbers, scales, bias, y, rows, outputs, inputs, x_stride, numbers_stride,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, BIAS: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """``y_mn = s_n sum_k x_mk q_nk + b_n``."""
    at_M = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    at_N = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    sums = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for begin in range(0, inputs, BLOCK_K):
        at_K = begin + tl.arange(0, BLOCK_K)
        inside_x = (at_M[:, None] < rows) & (at_K[None, :] < inputs)
        inside_w = (at_N[:, None] < outputs) & (at_K[None, :] < inputs)
        part = tl.load(x + at_M[:, None].to(tl.int64) * x_stride + at_K[None, :], inside_x, 0.0)
        weight = tl.load(numbers + at_N[:, None].to(tl.int64) * numbers_stride + at_K[None, :], inside_w, 0)
        if UPCAST:
            part = part.to(tl.float32)
        sums += tl.dot(part, tl.trans(weight).to(part.dtype), input_precision="ieee")
    sums *= tl.load(scales + at_N, at_N < outputs, 0.0).to(tl.float32)[None, :]
    if BIAS:
        sums += tl.load(bias + at_N, at_N < outputs, 0.0).to(tl.float32)[None, :]
    inside = (at_M[:, None] < rows) & (at_N[None, :] < outputs)
    tl.store(y + at_M[:, None].to(tl.int64) * outputs + at_N[None, :], sums.to(y.dtype.element_ty), inside)


def int8_linear(x: Tensor, weight: Int8Weight, bias_N: Tensor | None = None) -> Tensor:
    weight = plain(weight)
    outputs, inputs = weight.numbers_NK.shape
    x_MK = x.reshape(x.shape[:-1].numel(), inputs)
    if x_MK.stride(-1) != 1:
        x_MK = x_MK.contiguous()
    y = torch.empty(*x.shape[:-1], outputs, dtype=x.dtype, device=x.device)
    if y.numel():
        few = len(x_MK) <= 16
        block_m, block_n, block_k = (16, 32, 128) if few else (64, 64, 64)
        with on_device_of(x):
            _forward[(triton.cdiv(outputs, block_n), triton.cdiv(len(x_MK), block_m))](
                x_MK, weight.numbers_NK, weight.scales_N, x_MK if bias_N is None else bias_N.contiguous(), y,
                len(x_MK), outputs, inputs, x_MK.stride(0), weight.numbers_NK.stride(0),
                BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, BIAS=bias_N is not None, UPCAST=INTERPRETED,
                num_warps=4, num_stages=4 if few else 3,
            )  # fmt: skip
    return y
