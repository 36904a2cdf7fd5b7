"""A program a row, without a sort: what a sort would say is found by halving among the bits of a positive number.

Positive fp32 numbers are ordered as their bits are as integers, so 30 passes find the exact weight up to which tokens
are kept, or at which a draw falls: those of more weight come before it. Equally likely tokens come by their ids. The
weights are those whose shares torch's softmax makes; sums are of fp64.
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
def _from(weights, vocabulary, bits, BLOCK: tl.constexpr):
    """How many weights have at least these bits, and their sum."""
    least = bits.to(tl.float32, bitcast=True)
    count = tl.full((), 0, tl.int32)
    mass = tl.full((), 0.0, tl.float64)
    for begin in range(0, vocabulary, BLOCK):
        column = begin + tl.arange(0, BLOCK)
        here = tl.load(weights + column, column < vocabulary, -1.0)
        kept = here >= least
        count += tl.sum(kept.to(tl.int32), 0)
        mass += tl.sum(tl.where(kept, here, 0.0).to(tl.float64), 0)
    return count, mass


@triton.jit
def _threshold(weights, vocabulary, goal, least, RULE: tl.constexpr, BLOCK: tl.constexpr):
    """The largest bits that are `least`, or that so many weights have at least as to fulfil RULE: that their "count" is
    the goal at least, their "sum" is, or their sum is "more"."""
    found = tl.full((), 0, tl.int32)
    for bit in range(30):
        tried = found | (1 << (29 - bit))
        # Not by `_from`: a call takes the interpreter as long as the work.
        reached = tl.full((), 0, tl.int32 if RULE == "count" else tl.float64)
        for begin in range(0, vocabulary, BLOCK):
            column = begin + tl.arange(0, BLOCK)
            here = tl.load(weights + column, column < vocabulary, -1.0)
            kept = here >= tried.to(tl.float32, bitcast=True)
            if RULE == "count":
                reached += tl.sum(kept.to(tl.int32), 0)
            else:
                reached += tl.sum(tl.where(kept, here, 0.0).to(tl.float64), 0)
        enough = (reached > goal) if RULE == "more" else (reached >= goal)
        found = tl.where(enough | (tried <= least), tried, found)
    return found


@triton.jit
def _by_id(weights, vocabulary, mass, point, BLOCK: tl.constexpr):
    before = tl.full((), 0.0, tl.float64)
    found = tl.full((), 0, tl.int32) + vocabulary
    last = 0
    for begin in range(0, vocabulary, BLOCK):
        column = begin + tl.arange(0, BLOCK)
        here = tl.load(weights + column, column < vocabulary, 0.0)
        passed = (before + tl.cumsum(here.to(tl.float64), 0) > point * mass) & (here > 0)
        found = tl.minimum(found, tl.min(tl.where(passed, column, vocabulary), 0))
        last = tl.maximum(last, tl.max(tl.where(here > 0, column, 0), 0))
        before += tl.sum(here.to(tl.float64), 0)
    return tl.minimum(found, last)


@triton.jit
def _by_order(weights, vocabulary, mass, point, k, p, share, BLOCK: tl.constexpr):
    # Kept are all tokens of more weight than `last`, and the first `equals` of those that have it.
    last = tl.full((), 0, tl.int32)
    equals = tl.full((), 0, tl.int32) + vocabulary
    if (k > 0) & (k < vocabulary):
        last = _threshold(weights, vocabulary, k, 0, "count", BLOCK)
        count, above = _from(weights, vocabulary, last + 1, BLOCK)
        equals = k - count
        mass = above + equals * last.to(tl.float32, bitcast=True).to(tl.float64)
    if p < 1:
        wanted = p * mass
        # The likeliest, whose weight is 1, is kept whatever the share.
        reached = tl.minimum(_threshold(weights, vocabulary, wanted, last, "sum", BLOCK), 0x3F800000)
        _, above = _from(weights, vocabulary, reached + 1, BLOCK)
        weight = reached.to(tl.float32, bitcast=True).to(tl.float64)
        fitting = tl.minimum((wanted - above) / weight, vocabulary).to(tl.int32)
        fitting = tl.maximum(tl.where(above + fitting * weight < wanted, fitting + 1, fitting), 1)
        equals = tl.where(reached > last, fitting, tl.minimum(fitting, equals))
        last = reached
        mass = above + equals * weight
    if share > last.to(tl.float32, bitcast=True):
        last = share.to(tl.int32, bitcast=True)
        equals = tl.full((), 0, tl.int32) + vocabulary
        _, mass = _from(weights, vocabulary, last, BLOCK)
    # The largest number below `mass` at most: the product may be rounded up to it.
    below = (mass.to(tl.int64, bitcast=True) - 1).to(tl.float64, bitcast=True)
    wanted = tl.minimum(point * mass, below)
    at = _threshold(weights, vocabulary, wanted, last, "more", BLOCK)
    count, above = _from(weights, vocabulary, at + 1, BLOCK)
    present, _ = _from(weights, vocabulary, at, BLOCK)
    present = tl.where(at == last, tl.minimum(present - count, equals), present - count)
    weight = at.to(tl.float32, bitcast=True)
    number = tl.minimum((wanted - above) / weight.to(tl.float64), present - 1).to(tl.int32)
    found = tl.full((), 0, tl.int32) + vocabulary
    before = 0
    for begin in range(0, vocabulary, BLOCK):
        column = begin + tl.arange(0, BLOCK)
        equal = (tl.load(weights + column, column < vocabulary, -1.0) == weight).to(tl.int32)
        here = (equal > 0) & (before + tl.cumsum(equal, 0) == number + 1)
        found = tl.minimum(found, tl.min(tl.where(here, column, vocabulary), 0))
        before += tl.sum(equal, 0)
    return found


@triton.jit
def _draw(
    logits, points, temperatures, top_k, top_p, min_p, weights, drawn, vocabulary, stride, BLOCK: tl.constexpr
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    logits += row * stride
    weights += row * vocabulary
    most = -float("inf")
    likeliest = 0
    for begin in range(0, vocabulary, BLOCK):
        column = begin + tl.arange(0, BLOCK)
        numbers = tl.load(logits + column, column < vocabulary, -float("inf")).to(tl.float32)
        largest, first = tl.max(numbers, 0, return_indices=True, return_indices_tie_break_left=True)
        likeliest = tl.where(largest > most, begin + first, likeliest)
        most = tl.maximum(most, largest)
    temperature = tl.load(temperatures + row)
    if temperature > 0:
        most = tl.div_rn(most, temperature)
        mass = tl.full((), 0.0, tl.float64)
        for begin in range(0, vocabulary, BLOCK):
            column = begin + tl.arange(0, BLOCK)
            numbers = tl.load(logits + column, column < vocabulary, -float("inf")).to(tl.float32)
            here = tl.exp(tl.div_rn(numbers, temperature) - most)
            tl.store(weights + column, here, column < vocabulary)
            mass += tl.sum(here.to(tl.float64), 0)
        # From here on every thread reads what any of them wrote.
        tl.debug_barrier()
        point = tl.load(points + row)
        k = tl.load(top_k + row)
        p = tl.load(top_p + row)
        share = tl.load(min_p + row)
        if (k > 0) | (p < 1) | (share > 0):
            likeliest = _by_order(weights, vocabulary, mass, point, k, p, share, BLOCK)
        else:
            likeliest = _by_id(weights, vocabulary, mass, point, BLOCK)
    tl.store(drawn + row, likeliest)


def sample(
    logits_RV: Tensor, points_R: Tensor, temperatures_R: Tensor, top_k_R: Tensor, top_p_R: Tensor, min_p_R: Tensor
) -> Tensor:
    logits_RV = rows_of(logits_RV)
    rows, vocabulary = logits_RV.shape
    drawn_R = torch.empty(rows, dtype=torch.int64, device=logits_RV.device)
    if rows:
        weights_RV = torch.empty((rows, vocabulary), dtype=torch.float32, device=logits_RV.device)
        draws = points_R.double().contiguous(), temperatures_R.float().contiguous()
        cuts = top_k_R.int().contiguous(), top_p_R.double().contiguous(), min_p_R.float().contiguous()
        with on_device_of(logits_RV):
            _draw[(rows,)](
                logits_RV, *draws, *cuts, weights_RV, drawn_R, vocabulary, logits_RV.stride(0),
                BLOCK=min(BLOCK, row_block(vocabulary)), num_warps=WARPS,
            )  # fmt: skip
    return drawn_R
