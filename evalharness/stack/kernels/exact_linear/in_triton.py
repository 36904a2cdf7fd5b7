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

from evalharness.stack.kernels.exact_linear import TILES
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of, target_of

ALIGNMENT = 16


@triton.jit(do_not_specialize=["rows"])
def _forward(
    x, weight, bias, y, rows, outputs, inputs,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr, EVEN: tl.constexpr,
    BIAS: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """``y_mn = sum_k x_mk w_nk + b_n``; `EVEN` says that the inputs are a multiple of `BLOCK_K`."""
    row_tiles, output_tiles = tl.cdiv(rows, BLOCK_M), tl.cdiv(outputs, BLOCK_N)
    group = tl.program_id(0) // (GROUP * output_tiles)
    in_group = tl.program_id(0) % (GROUP * output_tiles)
    members = tl.minimum(row_tiles - group * GROUP, GROUP)
    at_M = (group * GROUP + in_group % members) * BLOCK_M + tl.arange(0, BLOCK_M)
    at_N = in_group // members * BLOCK_N + tl.arange(0, BLOCK_N)
    here = at_M[:, None] < rows
    # Outputs behind the last are the last: what comes of them is not stored.
    there = tl.minimum(at_N, outputs - 1).to(tl.int64)
    x_rows = x + at_M[:, None].to(tl.int64) * inputs
    weight_rows = weight + there[None, :] * inputs
    sums = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for begin in range(0, inputs, BLOCK_K):
        at_K = begin + tl.arange(0, BLOCK_K)
        if EVEN:
            a = tl.load(x_rows + at_K[None, :], here, 0.0)
            b = tl.load(weight_rows + at_K[:, None])
        else:
            a = tl.load(x_rows + at_K[None, :], here & (at_K[None, :] < inputs), 0.0)
            b = tl.load(weight_rows + at_K[:, None], at_K[:, None] < inputs, 0.0)
        if UPCAST:
            a, b = a.to(tl.float32), b.to(tl.float32)
        sums = tl.dot(a, b.to(a.dtype), sums, input_precision="ieee")
    if BIAS:
        sums += tl.load(bias + there).to(tl.float32)[None, :]
    to = y + at_M[:, None].to(tl.int64) * outputs + at_N[None, :]
    tl.store(to, sums.to(y.dtype.element_ty), here & (at_N[None, :] < outputs))


def exact_linear(x: Tensor, weight_NK: Tensor, bias_N: Tensor | None = None) -> Tensor:
    (outputs, inputs), rows = weight_NK.shape, x.shape[:-1].numel()
    y = torch.empty(*x.shape[:-1], outputs, dtype=x.dtype, device=x.device)
    if y.numel():
        x_MK, weight_NK = aligned(x), aligned(weight_NK)
        bias_N = x_MK if bias_N is None else aligned(bias_N.to(x.dtype))
        tile = TILES[target_of(x)]["halves" if x.element_size() == 2 else "whole"]
        with on_device_of(x):
            _forward[(triton.cdiv(rows, tile.rows) * triton.cdiv(outputs, tile.outputs),)](
                x_MK, weight_NK, bias_N, y, rows, outputs, inputs, EVEN=inputs % tile.inputs == 0,
                BIAS=bias_N is not x_MK, UPCAST=INTERPRETED, num_warps=tile.warps, num_stages=tile.stages,
                **tile.constants(),
            )  # fmt: skip
    return y


def aligned(x: Tensor) -> Tensor:
    """A tensor whose numbers lie one after another from a multiple of 16 bytes on; copied only where that is not so."""
    x = x.contiguous()
    return x.clone() if x.data_ptr() % ALIGNMENT else x
