"""A program a row, without a sort: each cut is a threshold, found by halving among the bits of a positive number.

Positive fp32 numbers are ordered as their bits are as integers, so 30 passes find the exact threshold between 0 and 1.
Rows that nothing cuts are read three times.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.launching import on_device_of, row_block, rows_of

BLOCK = 4096
WARPS = 8


@triton.jit
def _weights(logits, begin, vocabulary, most, temperature, BLOCK: tl.constexpr):
    """``exp((l - m) / temperature)`` of a block, 0 behind the row's end."""
    column = begin + tl.arange(0, BLOCK)
    numbers = tl.load(logits + column, column < vocabulary, -float("inf")).to(tl.float32)
    return tl.exp((numbers - most) / temperature)


@triton.jit
def _above(logits, vocabulary, most, temperature, least, BLOCK: tl.constexpr):
    """How many weights are at least `least`, and their sum."""
    count = 0
    mass = 0.0
    for begin in range(0, vocabulary, BLOCK):
        weights = _weights(logits, begin, vocabulary, most, temperature, BLOCK)
        kept = (weights >= least) & (begin + tl.arange(0, BLOCK) < vocabulary)
        count += tl.sum(kept.to(tl.int32), 0)
        mass += tl.sum(tl.where(kept, weights, 0.0), 0)
    return count, mass


@triton.jit
def _draw(
    logits, points, temperatures, top_k, top_p, min_p, drawn, vocabulary, stride, BLOCK: tl.constexpr
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    logits += row * stride
    most = -float("inf")
    likeliest = 0
    for begin in range(0, vocabulary, BLOCK):
        column = begin + tl.arange(0, BLOCK)
        numbers = tl.load(logits + column, column < vocabulary, -float("inf")).to(tl.float32)
        largest, first = tl.max(numbers, 0, return_indices=True, return_indices_tie_break_left=True)
        likeliest = tl.where(largest > most, begin + first, likeliest)
        most = tl.maximum(most, largest)
    temperature = tl.load(temperatures + row)
    if temperature == 0:
        tl.store(drawn + row, likeliest)
    else:
        k = tl.load(top_k + row)
        p = tl.load(top_p + row)
        # The bits of the largest thresholds that keep enough; weights reach from 0 to exp(0).
        kth = tl.full((), 0, tl.int32)
        if (k > 0) & (k < vocabulary):
            for bit in range(30):
                tried = kth | (1 << (29 - bit))
                count, _ = _above(logits, vocabulary, most, temperature, tried.to(tl.float32, bitcast=True), BLOCK)
                kth = tl.where(count >= k, tried, kth)
        pth = kth
        if p < 1:
            _, mass = _above(logits, vocabulary, most, temperature, kth.to(tl.float32, bitcast=True), BLOCK)
            pth = tl.full((), 0, tl.int32)
            for bit in range(30):
                tried = pth | (1 << (29 - bit))
                least = tl.maximum(tried, kth).to(tl.float32, bitcast=True)
                _, kept = _above(logits, vocabulary, most, temperature, least, BLOCK)
                pth = tl.where(kept >= p * mass, tried, pth)
            # The likeliest is kept whatever the share: the bits of its weight, 1.
            pth = tl.minimum(pth, 0x3F800000)
        threshold = tl.maximum(tl.maximum(pth, kth).to(tl.float32, bitcast=True), tl.load(min_p + row))
        _, mass = _above(logits, vocabulary, most, temperature, threshold, BLOCK)
        wanted = tl.load(points + row) * mass
        before = 0.0
        found = vocabulary
        last = 0
        for begin in range(0, vocabulary, BLOCK):
            column = begin + tl.arange(0, BLOCK)
            weights = _weights(logits, begin, vocabulary, most, temperature, BLOCK)
            weights = tl.where((weights >= threshold) & (column < vocabulary), weights, 0.0)
            cumulated = before + tl.cumsum(weights, 0)
            passed = (cumulated > wanted) & (weights > 0)
            found = tl.minimum(found, tl.min(tl.where(passed, column, vocabulary), 0))
            last = tl.maximum(last, tl.max(tl.where(weights > 0, column, 0), 0))
            before += tl.sum(weights, 0)
        tl.store(drawn + row, tl.minimum(found, last).to(tl.int64))


def sample(
    logits_RV: Tensor, points_R: Tensor, temperatures_R: Tensor, top_k_R: Tensor, top_p_R: Tensor, min_p_R: Tensor
) -> Tensor:
    logits_RV = rows_of(logits_RV)
    rows, vocabulary = logits_RV.shape
    drawn_R = torch.empty(rows, dtype=torch.int64, device=logits_RV.device)
    if rows:
        floats = (values.float().contiguous() for values in (points_R, temperatures_R))
        cuts = (top_k_R.int().contiguous(), top_p_R.float().contiguous(), min_p_R.float().contiguous())
        with on_device_of(logits_RV):
            _draw[(rows,)](
                logits_RV, *floats, *cuts, drawn_R, vocabulary, logits_RV.stride(0),
                BLOCK=min(BLOCK, row_block(vocabulary)), num_warps=WARPS,
            )  # fmt: skip
    return drawn_R
