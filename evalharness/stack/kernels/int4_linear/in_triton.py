"""A program for a tile of outputs, which reads its weights once, group by group.

Both halves of a byte are whole numbers that bf16 holds exactly; scale and zero come behind the product of a group, in
fp32: ``sum_k x_k ((q_k - 8) s + z) = s sum_k x_k (q_k - 8) + z sum_k x_k``.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.int4_linear.weights import Int4Weight, plain
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of


@triton.jit
def _forward(
    x, packed, scales_zeros, bias, y, rows, outputs, inputs, groups, x_stride,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, GROUP: tl.constexpr, BIAS: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    HALF: tl.constexpr = GROUP // 2
    at_M = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    at_N = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    here = at_N < outputs
    sums = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for group in range(groups):
        low_K = group * GROUP + tl.arange(0, HALF)
        high_K = low_K + HALF
        at_x = x + at_M[:, None].to(tl.int64) * x_stride
        low_x = tl.load(at_x + low_K[None, :], (at_M[:, None] < rows) & (low_K[None, :] < inputs), 0.0)
        high_x = tl.load(at_x + high_K[None, :], (at_M[:, None] < rows) & (high_K[None, :] < inputs), 0.0)
        if UPCAST:
            low_x = low_x.to(tl.float32)
            high_x = high_x.to(tl.float32)
        at_B = group * HALF + tl.arange(0, HALF)
        both = tl.load(packed + at_N[:, None].to(tl.int64) * (groups * HALF) + at_B[None, :], here[:, None], 0).to(
            tl.int32
        )
        low = ((both & 15) - 8).to(low_x.dtype)
        high = ((both >> 4) - 8).to(low_x.dtype)
        part = tl.dot(low_x, tl.trans(low), input_precision="ieee")
        part = tl.dot(high_x, tl.trans(high), part, input_precision="ieee")
        at_scale = scales_zeros + (group * outputs + at_N).to(tl.int64) * 2
        scale = tl.load(at_scale, here, 0.0).to(tl.float32)
        zero = tl.load(at_scale + 1, here, 0.0).to(tl.float32)
        total = tl.sum(low_x.to(tl.float32), 1) + tl.sum(high_x.to(tl.float32), 1)
        sums += part * scale[None, :] + total[:, None] * zero[None, :]
    if BIAS:
        sums += tl.load(bias + at_N, here, 0.0).to(tl.float32)[None, :]
    inside = (at_M[:, None] < rows) & here[None, :]
    tl.store(y + at_M[:, None].to(tl.int64) * outputs + at_N[None, :], sums.to(y.dtype.element_ty), inside)


def int4_linear(x: Tensor, weight: Int4Weight, bias_N: Tensor | None = None) -> Tensor:
    weight = plain(weight)
    x_MK = x.reshape(x.shape[:-1].numel(), x.shape[-1])
    if x_MK.stride(-1) != 1:
        x_MK = x_MK.contiguous()
    y = torch.empty(*x.shape[:-1], weight.outputs, dtype=x.dtype, device=x.device)
    if y.numel():
        few = len(x_MK) <= 16
        block_m, block_n = (16, 32) if few else (64, 64)
        with on_device_of(x):
            _forward[(triton.cdiv(weight.outputs, block_n), triton.cdiv(len(x_MK), block_m))](
                x_MK, weight.packed_NB, weight.scales_zeros_SN2, x_MK if bias_N is None else bias_N.contiguous(), y,
                len(x_MK), weight.outputs, weight.columns, len(weight.scales_zeros_SN2), x_MK.stride(0),
                BLOCK_M=block_m, BLOCK_N=block_n, GROUP=weight.group, BIAS=bias_N is not None, UPCAST=INTERPRETED,
                num_warps=4, num_stages=4 if few else 3,
            )  # fmt: skip
    return y
