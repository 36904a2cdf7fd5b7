"""A program for a tile of outputs, which adds up the inputs in blocks from the first to the last, in fp32.

Every number of the result is added up by the same instructions in the same order, whatever the number of rows: there is
one choice of tiles, sums are not split, there are no atomics, and Triton compiles one kernel a layer. The last is why
the number of rows is not specialised, and why x lies at a multiple of 16 bytes, its rows one after another: Triton
makes kernels of their own for arguments that are 1 or multiples of 16.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.exact_linear import STAGES, TILES, WARPS
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of

ALIGNMENT = 16
_TILES = {torch.float32: TILES["fp32"], torch.bfloat16: TILES["bf16"], torch.float16: TILES["fp16"]}


@triton.jit(do_not_specialize=["rows"])
def _forward(
    x, weight, bias, y, rows, outputs, inputs,
    BIAS: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """``y_mn = sum_k x_mk w_nk + b_n``; programs that share weights follow one another."""
    at_M = (tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)).to(tl.int64)
    at_N = (tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)).to(tl.int64)
    sums = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for begin in range(0, inputs, BLOCK_K):
        at_K = begin + tl.arange(0, BLOCK_K)
        inside_x = (at_M[:, None] < rows) & (at_K[None, :] < inputs)
        inside_w = (at_N[None, :] < outputs) & (at_K[:, None] < inputs)
        a = tl.load(x + at_M[:, None] * inputs + at_K[None, :], inside_x, 0.0)
        b = tl.load(weight + at_N[None, :] * inputs + at_K[:, None], inside_w, 0.0)
        if UPCAST:
            a, b = a.to(tl.float32), b.to(tl.float32)
        sums = tl.dot(a, b.to(a.dtype), sums, input_precision="ieee")
    if BIAS:
        sums += tl.load(bias + at_N, at_N < outputs, 0.0).to(tl.float32)[None, :]
    inside = (at_M[:, None] < rows) & (at_N[None, :] < outputs)
    tl.store(y + at_M[:, None] * outputs + at_N[None, :], sums.to(y.dtype.element_ty), inside)


def exact_linear(x: Tensor, weight_NK: Tensor, bias_N: Tensor | None = None) -> Tensor:
    (outputs, inputs), rows = weight_NK.shape, x.shape[:-1].numel()
    y = torch.empty(*x.shape[:-1], outputs, dtype=x.dtype, device=x.device)
    if y.numel():
        x_MK, weight_NK = aligned(x), aligned(weight_NK)
        bias_N = x_MK if bias_N is None else aligned(bias_N.to(x.dtype))
        tiles = _TILES[x.dtype]
        grid = triton.cdiv(rows, tiles["BLOCK_M"]), triton.cdiv(outputs, tiles["BLOCK_N"])
        with on_device_of(x):
            _forward[grid](
                x_MK, weight_NK, bias_N, y, rows, outputs, inputs, BIAS=bias_N is not x_MK, UPCAST=INTERPRETED,
                num_warps=WARPS, num_stages=STAGES, **tiles,
            )  # fmt: skip
    return y


def aligned(x: Tensor) -> Tensor:
    """A tensor whose numbers lie one after another from a multiple of 16 bytes on; copied only where that is not so."""
    x = x.contiguous()
    return x.clone() if x.data_ptr() % ALIGNMENT else x
