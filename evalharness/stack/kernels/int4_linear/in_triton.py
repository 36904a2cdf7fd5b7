"""Two kernels, each with a program for a tile of outputs: few rows wait for the bytes of the weight, many for products.

Four bits become a number without a conversion, of which GPUs make few: or-ed into the last bits of 128 in bf16, or of
1024 in fp16, they are 128 + q exactly; two are made at a time, in a word of 32 bits. With few rows, parts of a row of
the weight are multiplied side by side, each by warps of its own, as there are too few outputs to occupy a GPU; scale
and zero come behind the product, in fp32, so that nothing is rounded:
``sum_k x_k ((q_k - 8) s + z) = s sum_k x_k (128 + q_k) + (z - 136 s) sum_k x_k``.
With many rows a weight becomes a number of x, as in torch.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.int4_linear import TILES
from evalharness.stack.kernels.int4_linear.weights import Int4Weight, plain
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of, target_of


@triton.jit
def _two(words, number: tl.constexpr):
    """The numbers in the lowest four bits of both halves of words, each with what stands for 0 (`_zero`) added."""
    if number == tl.float32:
        low = ((words & 15) | 0x4B000000).to(tl.float32, bitcast=True) - 8388608.0
        high = ((words >> 16) | 0x4B000000).to(tl.float32, bitcast=True) - 8388608.0
    else:
        words |= 0x43004300 if number == tl.bfloat16 else 0x64006400
        low = words.to(tl.uint16).to(number, bitcast=True)
        high = (words >> 16).to(tl.uint16).to(number, bitcast=True)
    return low, high


@triton.jit
def _zero(number: tl.constexpr):
    return 8.0 if number == tl.float32 else (136.0 if number == tl.bfloat16 else 1032.0)


@triton.jit
def _halves(words, number: tl.constexpr):
    """Of words of four bytes, [..., B / 4], the lower halves of the bytes in their order, [..., B / 4, 2, 2]."""
    first, third = _two(words & 0xF000F, number)
    second, fourth = _two((words >> 8) & 0xF000F, number)
    return tl.join(tl.join(first, third), tl.join(second, fourth))


@triton.jit
def _scales(pairs):
    """Scales and zeros of pairs of bf16."""
    return (pairs << 16).to(tl.float32, bitcast=True), (pairs & -65536).to(tl.float32, bitcast=True)


@triton.jit
def _column(part, GROUP: tl.constexpr, BLOCK_B: tl.constexpr):
    """Where the lower halves of a part's bytes belong; the higher ones belong half a group further on."""
    PARTS: tl.constexpr = GROUP // 2 // BLOCK_B
    return part // PARTS * GROUP + part % PARTS * BLOCK_B


@triton.jit
def _few(
    x, packed, scales_zeros, bias, y, rows, outputs, inputs, parts, x_stride, BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_B: tl.constexpr, SLICES: tl.constexpr, GROUP: tl.constexpr, EVEN: tl.constexpr,
    BIAS: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Parts are of `BLOCK_B` bytes; `EVEN` says that they are multiples of `SLICES`, and groups full."""
    HALF: tl.constexpr = GROUP // 2
    PARTS: tl.constexpr = HALF // BLOCK_B
    number: tl.constexpr = x.dtype.element_ty
    at_M = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    at_N = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    slice = tl.arange(0, SLICES)
    place = tl.arange(0, BLOCK_B)[None, None, :]
    here = (at_M < rows)[None, :, None]
    # Outputs behind the last are the last: what comes of them is not stored.
    there = tl.minimum(at_N, outputs - 1).to(tl.int64)
    x_rows = x + at_M[None, :, None].to(tl.int64) * x_stride + place
    words_of_rows = packed + there[None, :, None] * (parts * (BLOCK_B // 4)) + tl.arange(0, BLOCK_B // 4)[None, None, :]
    scales_of_rows = scales_zeros + there[None, :]
    sums = tl.zeros((SLICES, BLOCK_N, BLOCK_M), tl.float32)
    ones = tl.full((SLICES, BLOCK_N, BLOCK_B), 1.0, tl.float32 if UPCAST else number)
    pairs = tl.load(scales_of_rows + (slice // PARTS).to(tl.int64)[:, None] * outputs, (slice < parts)[:, None], 0)
    for first in range(0, parts, SLICES):
        part = first + slice
        column = _column(part, GROUP, BLOCK_B)[:, None, None]
        at_words = words_of_rows + part[:, None, None] * (BLOCK_B // 4)
        if EVEN:
            low_x = tl.load(x_rows + column, here, 0.0)
            high_x = tl.load(x_rows + (column + HALF), here, 0.0)
            words = tl.load(at_words)
        else:
            low_x = tl.load(x_rows + column, here & (column + place < inputs), 0.0)
            high_x = tl.load(x_rows + (column + HALF), here & (column + HALF + place < inputs), 0.0)
            words = tl.load(at_words, (part < parts)[:, None, None], 0)
        scale, zero = _scales(pairs)
        # The next ones now: they are not among what Triton fetches ahead, as no product takes them.
        at_scales = scales_of_rows + ((part + SLICES) // PARTS).to(tl.int64)[:, None] * outputs
        pairs = tl.load(at_scales, (part + SLICES < parts)[:, None], 0)
        words = words.to(tl.uint32, bitcast=True)
        low = tl.reshape(_halves(words, number), (SLICES, BLOCK_N, BLOCK_B))
        high = tl.reshape(_halves(words >> 4, number), (SLICES, BLOCK_N, BLOCK_B))
        if UPCAST:
            low, high, low_x, high_x = (
                low.to(tl.float32), high.to(tl.float32), low_x.to(tl.float32), high_x.to(tl.float32)
            )  # fmt: skip
        low_x, high_x = tl.permute(low_x, (0, 2, 1)), tl.permute(high_x, (0, 2, 1))
        product = tl.dot(low, low_x, input_precision="ieee")
        product = tl.dot(high, high_x, product, input_precision="ieee")
        total = tl.dot(ones, low_x, input_precision="ieee")
        total = tl.dot(ones, high_x, total, input_precision="ieee")
        sums += product * scale[:, :, None]
        sums += total * (zero - _zero(number) * scale)[:, :, None]
    found = tl.sum(sums, 0)
    if BIAS:
        found += tl.load(bias + there).to(tl.float32)[:, None]
    inside = (at_M[None, :] < rows) & (at_N[:, None] < outputs)
    tl.store(y + at_M[None, :].to(tl.int64) * outputs + at_N[:, None], found.to(y.dtype.element_ty), inside)


@triton.jit
def _many(
    x, packed, scales_zeros, bias, y, rows, outputs, inputs, parts, x_stride, BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_B: tl.constexpr, GROUP: tl.constexpr, EVEN: tl.constexpr, BIAS: tl.constexpr,
    UPCAST: tl.constexpr,
):  # fmt: skip
    """Parts are of `BLOCK_B` bytes; `EVEN` says that groups are full."""
    HALF: tl.constexpr = GROUP // 2
    PARTS: tl.constexpr = HALF // BLOCK_B
    number: tl.constexpr = x.dtype.element_ty
    at_M = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    at_N = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    place = tl.arange(0, BLOCK_B)[None, :]
    # Rows and outputs behind the last are the last: what comes of them is not stored.
    there = tl.minimum(at_N, outputs - 1).to(tl.int64)
    x_rows = x + tl.minimum(at_M, rows - 1)[:, None].to(tl.int64) * x_stride + place
    words_of_rows = packed + there[:, None] * (parts * (BLOCK_B // 4)) + tl.arange(0, BLOCK_B // 4)[None, :]
    sums = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for part in range(parts):
        column = _column(part, GROUP, BLOCK_B)
        if EVEN:
            low_x = tl.load(x_rows + column)
            high_x = tl.load(x_rows + (column + HALF))
        else:
            low_x = tl.load(x_rows + column, column + place < inputs, 0.0)
            high_x = tl.load(x_rows + (column + HALF), column + HALF + place < inputs, 0.0)
        words = tl.load(words_of_rows + part * (BLOCK_B // 4)).to(tl.uint32, bitcast=True)
        scale, zero = _scales(tl.load(scales_zeros + tl.cast(part // PARTS, tl.int64) * outputs + there))
        zero -= _zero(number) * scale
        low = tl.reshape(_halves(words, number), (BLOCK_N, BLOCK_B)).to(tl.float32)
        high = tl.reshape(_halves(words >> 4, number), (BLOCK_N, BLOCK_B)).to(tl.float32)
        low = (low * scale[:, None] + zero[:, None]).to(number)
        high = (high * scale[:, None] + zero[:, None]).to(number)
        if UPCAST:
            low, high, low_x, high_x = (
                low.to(tl.float32), high.to(tl.float32), low_x.to(tl.float32), high_x.to(tl.float32)
            )  # fmt: skip
        sums = tl.dot(low_x, tl.trans(low), sums, input_precision="ieee")
        sums = tl.dot(high_x, tl.trans(high), sums, input_precision="ieee")
    if BIAS:
        sums += tl.load(bias + there).to(tl.float32)[None, :]
    inside = (at_M[:, None] < rows) & (at_N[None, :] < outputs)
    tl.store(y + at_M[:, None].to(tl.int64) * outputs + at_N[None, :], sums.to(y.dtype.element_ty), inside)


def int4_linear(x: Tensor, weight: Int4Weight, bias_N: Tensor | None = None) -> Tensor:
    weight = plain(weight)
    rows, outputs, inputs = x.shape[:-1].numel(), weight.outputs, x.shape[-1]
    x_MK = x.reshape(rows, inputs)
    if x_MK.stride(-1) != 1:
        x_MK = x_MK.contiguous()
    y = torch.empty(*x.shape[:-1], outputs, dtype=x.dtype, device=x.device)
    if y.numel():
        tiles = TILES[target_of(x)]["halves" if x.element_size() == 2 else "whole"]
        tile = next((each for each in tiles if rows <= each.rows), tiles[-1])
        told = tile.constants(weight.group)
        parts = weight.packed_NB.shape[1] // told["BLOCK_B"]
        with on_device_of(x):
            (_few if tile.slices else _many)[(triton.cdiv(outputs, tile.outputs), triton.cdiv(rows, tile.rows))](
                x_MK, weight.packed_NB.view(torch.int32), weight.scales_zeros_SN2.view(torch.int32),
                x_MK if bias_N is None else bias_N.contiguous(), y, rows, outputs, inputs, parts, x_MK.stride(0),
                EVEN=inputs % weight.group == 0 and parts % max(1, tile.slices) == 0, BIAS=bias_N is not None,
                UPCAST=INTERPRETED, num_warps=tile.warps, num_stages=tile.stages, **told,
            )  # fmt: skip
    return y
