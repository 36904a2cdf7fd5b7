"""Flash attention, forward and backward (Dao 2023, arXiv:2307.08691), with one interval of keys for each query.

Tiles of keys begin at multiples of their size, and a tile that a query does not see leaves its numbers as they were,
so that a query's bits do not depend on the queries that are computed beside it. The backward pass has one program for
a tile of keys and one for a tile of queries, each of which adds up in order: there are no atomics.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.flash_attention.intervals import KeyIntervals
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of

LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def dot(left, right, UPCAST: tl.constexpr):
    """Product with sums in fp32; UPCAST as the interpreter multiplies the raw bits of bf16."""
    if UPCAST:
        return tl.dot(left.to(tl.float32), right.to(tl.float32), input_precision="ieee")
    return tl.dot(left, right, input_precision="ieee")


@triton.jit
def _scores(
    query,
    key,
    columns,
    positions,
    first,
    end,
    scale,
    slope,
    ALIBI: tl.constexpr,
    MASKED: tl.constexpr,
    UPCAST: tl.constexpr,
):
    """Scores times log2(e), -inf where a query does not see a key, [M, N]."""
    scores = dot(query, tl.trans(key), UPCAST) * scale
    if ALIBI:
        scores -= slope * tl.abs(positions[:, None] - columns[None, :]).to(tl.float32)
    if MASKED:
        seen = (columns[None, :] >= first[:, None]) & (columns[None, :] < end[:, None])
        scores = tl.where(seen, scores, float("-inf"))
    return scores


@triton.jit
def _tile(at, rows, dims, row_stride, count, HEAD_DIM: tl.constexpr):
    """Rows of a matrix, 0 behind the last one, [rows, dims]."""
    inside = (rows[:, None] < count) & (dims[None, :] < HEAD_DIM)
    return tl.load(at + rows[:, None].to(tl.int64) * row_stride + dims[None, :], mask=inside, other=0.0)


@triton.jit
def _forward_tiles(
    mixed, best, total, query, keys, values, key_stride, value_stride, seen, low, high, positions, first, end,
    scale, slope, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
    ALIBI: tl.constexpr, MASKED: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    dims = tl.arange(0, BLOCK_D)
    for begin in range(low, high, BLOCK_N):
        columns = begin + tl.arange(0, BLOCK_N)
        key = _tile(keys, columns, dims, key_stride, seen, HEAD_DIM)
        scores = _scores(query, key, columns, positions, first, end, scale, slope, ALIBI, MASKED, UPCAST)
        new_best = tl.maximum(best, tl.max(scores, 1))
        shift = tl.where(new_best == float("-inf"), 0.0, new_best)
        weights = tl.exp2(scores - shift[:, None])
        keep = tl.exp2(best - shift)
        total = total * keep + tl.sum(weights, 1)
        value = _tile(values, columns, dims, value_stride, seen, HEAD_DIM)
        mixed = mixed * keep[:, None] + dot(weights.to(value.dtype), value, UPCAST)
        best = new_best
    return mixed, best, total


@triton.jit
def _forward(
    queries, keys, values, first_of, end_of, slopes, mixed_to, sums_to,
    query_b, query_t, query_h, key_b, key_s, key_g, value_b, value_s, value_g, interval_b,
    count, seen, offset, scale, heads, repeats,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    ALIBI: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """A tile of queries of one head: ``O = sum_j exp(s_j - m) v_j / sum_j exp(s_j - m)`` with a running maximum m."""
    batch = (tl.program_id(1) // heads).to(tl.int64)
    head = (tl.program_id(1) % heads).to(tl.int64)
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    dims = tl.arange(0, BLOCK_D)
    inside = rows < count
    near = tl.minimum(rows, count - 1)
    first = tl.load(first_of + batch * interval_b + near)
    end = tl.load(end_of + batch * interval_b + near)
    slope = 0.0
    if ALIBI:
        slope = tl.load(slopes + head) * LOG2E
    scale = scale * LOG2E
    query = _tile(queries + batch * query_b + head * query_h, rows, dims, query_t, count, HEAD_DIM)
    keys += batch * key_b + (head // repeats) * key_g
    values += batch * value_b + (head // repeats) * value_g
    positions = rows + offset
    best = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    mixed = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    # Whole tiles that all queries see need no mask: they lie between two edges of tiles that need one.
    low = tl.min(first, 0) // BLOCK_N * BLOCK_N
    high = tl.max(end, 0)
    whole = tl.minimum((tl.max(first, 0) + BLOCK_N - 1) // BLOCK_N * BLOCK_N, high)
    edge = tl.maximum(tl.min(end, 0) // BLOCK_N * BLOCK_N, whole)
    mixed, best, total = _forward_tiles(
        mixed, best, total, query, keys, values, key_s, value_s, seen, low, whole, positions, first, end, scale, slope,
        HEAD_DIM, BLOCK_D, BLOCK_N, ALIBI, True, UPCAST,
    )  # fmt: skip
    mixed, best, total = _forward_tiles(
        mixed, best, total, query, keys, values, key_s, value_s, seen, whole, edge, positions, first, end, scale, slope,
        HEAD_DIM, BLOCK_D, BLOCK_N, ALIBI, False, UPCAST,
    )  # fmt: skip
    mixed, best, total = _forward_tiles(
        mixed, best, total, query, keys, values, key_s, value_s, seen, edge, high, positions, first, end, scale, slope,
        HEAD_DIM, BLOCK_D, BLOCK_N, ALIBI, True, UPCAST,
    )  # fmt: skip
    mixed = mixed / tl.where(total == 0.0, 1.0, total)[:, None]
    sums = tl.where(total == 0.0, float("-inf"), (best + tl.log2(tl.where(total == 0.0, 1.0, total))) / LOG2E)
    at = ((batch * count + rows[:, None]) * heads + head) * HEAD_DIM + dims[None, :]
    tl.store(mixed_to + at, mixed.to(mixed_to.dtype.element_ty), mask=inside[:, None] & (dims[None, :] < HEAD_DIM))
    tl.store(sums_to + (batch * heads + head) * count + rows, sums, mask=inside)


@triton.jit
def _delta(
    mixed, gradient, delta_to, mixed_b, mixed_t, mixed_h, gradient_b, gradient_t, gradient_h, count, heads,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """``delta_i = sum_d dO_id O_id``, which is the sum of ``dP_ij P_ij`` over all keys."""
    batch = (tl.program_id(1) // heads).to(tl.int64)
    head = (tl.program_id(1) % heads).to(tl.int64)
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    dims = tl.arange(0, BLOCK_D)
    out = _tile(mixed + batch * mixed_b + head * mixed_h, rows, dims, mixed_t, count, HEAD_DIM).to(tl.float32)
    grad = _tile(gradient + batch * gradient_b + head * gradient_h, rows, dims, gradient_t, count, HEAD_DIM).to(
        tl.float32
    )
    tl.store(delta_to + (batch * heads + head) * count + rows, tl.sum(out * grad, 1), mask=rows < count)


@triton.jit
def _score_gradient(
    query, key, value, grad, sums, delta, columns, positions, first, end, scale, slope,
    ALIBI: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Weights P and ``dS = P (dO V^T - delta)``, [M, N]."""
    scores = _scores(query, key, columns, positions, first, end, scale, slope, ALIBI, True, UPCAST)
    shift = tl.where(sums == float("-inf"), 0.0, sums * LOG2E)
    weights = tl.exp2(scores - shift[:, None])
    return weights, weights * (dot(grad, tl.trans(value), UPCAST) - delta[:, None])


@triton.jit
def _backward_keys(
    queries, keys, values, gradient, sums_of, delta_of, first_of, end_of, slopes, query_first, query_end,
    key_to, value_to,
    query_b, query_t, query_h, key_b, key_s, key_g, value_b, value_s, value_g,
    gradient_b, gradient_t, gradient_h, interval_b, range_b,
    count, seen, offset, scale, groups, repeats,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    ALIBI: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """A tile of keys of one head, over the queries that see it: ``dV = P^T dO`` and ``dK = scale dS^T Q``."""
    tile = tl.program_id(0)
    batch = (tl.program_id(1) // groups).to(tl.int64)
    group = (tl.program_id(1) % groups).to(tl.int64)
    columns = tile * BLOCK_N + tl.arange(0, BLOCK_N)
    dims = tl.arange(0, BLOCK_D)
    key = _tile(keys + batch * key_b + group * key_g, columns, dims, key_s, seen, HEAD_DIM)
    value = _tile(values + batch * value_b + group * value_g, columns, dims, value_s, seen, HEAD_DIM)
    low = tl.load(query_first + batch * range_b + tile) // BLOCK_M * BLOCK_M
    high = tl.load(query_end + batch * range_b + tile)
    key_sum = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    value_sum = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    heads = groups * repeats
    for repeat in range(repeats):
        head = group * repeats + repeat
        slope = 0.0
        if ALIBI:
            slope = tl.load(slopes + head) * LOG2E
        for begin in range(low, high, BLOCK_M):
            rows = begin + tl.arange(0, BLOCK_M)
            inside = rows < count
            first = tl.load(first_of + batch * interval_b + rows, mask=inside, other=seen)
            end = tl.load(end_of + batch * interval_b + rows, mask=inside, other=0)
            at = (batch * heads + head) * count + rows
            sums = tl.load(sums_of + at, mask=inside, other=0.0)
            delta = tl.load(delta_of + at, mask=inside, other=0.0)
            query = _tile(queries + batch * query_b + head * query_h, rows, dims, query_t, count, HEAD_DIM)
            grad = _tile(gradient + batch * gradient_b + head * gradient_h, rows, dims, gradient_t, count, HEAD_DIM)
            weights, change = _score_gradient(
                query, key, value, grad, sums, delta, columns, rows + offset, first, end, scale * LOG2E, slope,
                ALIBI, UPCAST,
            )  # fmt: skip
            value_sum += dot(tl.trans(weights.to(grad.dtype)), grad, UPCAST)
            key_sum += dot(tl.trans(change.to(query.dtype)), query, UPCAST)
    at = ((batch * seen + columns[:, None]) * groups + group) * HEAD_DIM + dims[None, :]
    inside = (columns[:, None] < seen) & (dims[None, :] < HEAD_DIM)
    tl.store(key_to + at, (key_sum * scale).to(key_to.dtype.element_ty), mask=inside)
    tl.store(value_to + at, value_sum.to(value_to.dtype.element_ty), mask=inside)


@triton.jit
def _backward_queries(
    queries, keys, values, gradient, sums_of, delta_of, first_of, end_of, slopes, query_to,
    query_b, query_t, query_h, key_b, key_s, key_g, value_b, value_s, value_g,
    gradient_b, gradient_t, gradient_h, interval_b,
    count, seen, offset, scale, heads, repeats,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    ALIBI: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """A tile of queries of one head, over the keys that it sees: ``dQ = scale dS K``."""
    batch = (tl.program_id(1) // heads).to(tl.int64)
    head = (tl.program_id(1) % heads).to(tl.int64)
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    dims = tl.arange(0, BLOCK_D)
    inside = rows < count
    near = tl.minimum(rows, count - 1)
    first = tl.load(first_of + batch * interval_b + near)
    end = tl.load(end_of + batch * interval_b + near)
    slope = 0.0
    if ALIBI:
        slope = tl.load(slopes + head) * LOG2E
    at = (batch * heads + head) * count + rows
    sums = tl.load(sums_of + at, mask=inside, other=0.0)
    delta = tl.load(delta_of + at, mask=inside, other=0.0)
    query = _tile(queries + batch * query_b + head * query_h, rows, dims, query_t, count, HEAD_DIM)
    grad = _tile(gradient + batch * gradient_b + head * gradient_h, rows, dims, gradient_t, count, HEAD_DIM)
    keys += batch * key_b + (head // repeats) * key_g
    values += batch * value_b + (head // repeats) * value_g
    query_sum = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    for begin in range(tl.min(first, 0) // BLOCK_N * BLOCK_N, tl.max(end, 0), BLOCK_N):
        columns = begin + tl.arange(0, BLOCK_N)
        key = _tile(keys, columns, dims, key_s, seen, HEAD_DIM)
        value = _tile(values, columns, dims, value_s, seen, HEAD_DIM)
        _, change = _score_gradient(
            query,
            key,
            value,
            grad,
            sums,
            delta,
            columns,
            rows + offset,
            first,
            end,
            scale * LOG2E,
            slope,
            ALIBI,
            UPCAST,
        )
        query_sum += dot(change.to(key.dtype), key, UPCAST)
    to = ((batch * count + rows[:, None]) * heads + head) * HEAD_DIM + dims[None, :]
    mask = inside[:, None] & (dims[None, :] < HEAD_DIM)
    tl.store(query_to + to, (query_sum * scale).to(query_to.dtype.element_ty), mask=mask)


class Blocks(NamedTuple):
    """Sizes of tiles and how they are launched."""

    queries: int
    keys: int
    warps: int
    stages: int


def head_block(size: int) -> int:
    """Numbers of a head that a tile holds: a power of two, and 16 for `tl.dot`."""
    block: int = max(16, triton.next_power_of_2(size))
    return block


def _forward_blocks(like: Tensor) -> Blocks:
    if INTERPRETED:
        return Blocks(16, 16, 4, 1)
    if like.element_size() > 2:
        return Blocks(64, 32, 4, 2)
    return Blocks(128, 64, 4 if like.shape[-1] <= 64 else 8, 3 if like.shape[-1] <= 128 else 2)


def _backward_blocks(like: Tensor) -> Blocks:
    """Of the tile that a program owns (`keys`) and of those that it goes through (`queries`)."""
    if INTERPRETED:
        return Blocks(16, 16, 4, 1)
    if like.element_size() > 2:
        return Blocks(32, 32, 4, 1)
    return Blocks(64, 64, 4, 2) if like.shape[-1] <= 64 else Blocks(32, 128 if like.shape[-1] <= 128 else 64, 8, 2)


def flash_attention(
    queries_BTHD: Tensor,
    keys_BSGD: Tensor,
    values_BSGD: Tensor,
    intervals: KeyIntervals,
    *,
    scale: float,
    slopes_H: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = _FlashAttention.apply(
        queries_BTHD, keys_BSGD, values_BSGD, intervals, scale, slopes_H
    )
    return found


class _FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, queries, keys, values, intervals, scale, slopes):
        queries, keys, values = (x if x.stride(-1) == 1 else x.contiguous() for x in (queries, keys, values))
        mixed, sums = _run_forward(queries, keys, values, intervals, scale, slopes)
        ctx.save_for_backward(queries, keys, values, mixed, sums, slopes)
        ctx.intervals, ctx.scale = intervals, scale
        ctx.mark_non_differentiable(sums)
        return mixed, sums

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient, _):
        queries, keys, values, mixed, sums, slopes = ctx.saved_tensors
        gradient = gradient if gradient.stride(-1) == 1 else gradient.contiguous()
        found = _run_backward(queries, keys, values, mixed, sums, gradient, ctx.intervals, ctx.scale, slopes)
        return *found, None, None, None


def _run_forward(
    queries: Tensor, keys: Tensor, values: Tensor, intervals: KeyIntervals, scale: float, slopes: Tensor | None
) -> tuple[Tensor, Tensor]:
    batch, count, heads, size = queries.shape
    seen, groups = keys.shape[1:3]
    mixed = torch.empty(queries.shape, dtype=queries.dtype, device=queries.device)
    sums = torch.empty(batch, heads, count, dtype=torch.float32, device=queries.device)
    if not mixed.numel():
        return mixed, sums
    if not seen:
        return mixed.zero_(), sums.fill_(-torch.inf)
    blocks = _forward_blocks(queries)
    with on_device_of(queries):
        _forward[(triton.cdiv(count, blocks.queries), batch * heads)](
            queries, keys, values, intervals.first_BT, intervals.end_BT,
            sums if slopes is None else slopes, mixed, sums,
            *queries.stride()[:3], *keys.stride()[:3], *values.stride()[:3], _stride(intervals.first_BT),
            count, seen, intervals.offset, scale, heads, heads // groups,
            HEAD_DIM=size, BLOCK_D=head_block(size), BLOCK_M=blocks.queries, BLOCK_N=blocks.keys,
            ALIBI=slopes is not None, UPCAST=INTERPRETED, num_warps=blocks.warps, num_stages=blocks.stages,
        )  # fmt: skip
    return mixed, sums


def _run_backward(
    queries: Tensor, keys: Tensor, values: Tensor, mixed: Tensor, sums: Tensor, gradient: Tensor,
    intervals: KeyIntervals, scale: float, slopes: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    batch, count, heads, size = queries.shape
    seen, groups = keys.shape[1:3]
    by_queries, by_keys, by_values = (torch.empty_like(x, memory_format=torch.contiguous_format)
                                      for x in (queries, keys, values))  # fmt: skip
    if not queries.numel() or not keys.numel():
        return by_queries.zero_(), by_keys.zero_(), by_values.zero_()
    delta = torch.empty_like(sums)
    blocks = _backward_blocks(queries)
    firsts, ends = intervals.queries_of(blocks.keys)
    strides = (*queries.stride()[:3], *keys.stride()[:3], *values.stride()[:3], *gradient.stride()[:3])
    inputs = (queries, keys, values, gradient, sums, delta, intervals.first_BT, intervals.end_BT)
    slopes_or = sums if slopes is None else slopes
    step = _stride(intervals.first_BT)
    constants = {
        "HEAD_DIM": size, "BLOCK_D": head_block(size), "ALIBI": slopes is not None, "UPCAST": INTERPRETED,
        "num_warps": blocks.warps, "num_stages": blocks.stages,
    }  # fmt: skip
    with on_device_of(queries):
        _delta[(triton.cdiv(count, 16), batch * heads)](
            mixed, gradient, delta, *mixed.stride()[:3], *gradient.stride()[:3], count, heads,
            HEAD_DIM=size, BLOCK_D=head_block(size), BLOCK_M=16,
        )  # fmt: skip
        _backward_keys[(triton.cdiv(seen, blocks.keys), batch * groups)](
            *inputs, slopes_or, firsts, ends, by_keys, by_values, *strides, step, _stride(firsts),
            count, seen, intervals.offset, scale, groups, heads // groups,
            BLOCK_M=blocks.queries, BLOCK_N=blocks.keys, **constants,
        )  # fmt: skip
        _backward_queries[(triton.cdiv(count, blocks.keys), batch * heads)](
            *inputs, slopes_or, by_queries, *strides, step,
            count, seen, intervals.offset, scale, heads, heads // groups,
            BLOCK_M=blocks.keys, BLOCK_N=blocks.queries, **constants,
        )  # fmt: skip
    return by_queries, by_keys, by_values


def _stride(of_BT: Tensor) -> int:
    """From one sequence to the next: 0 where all are alike."""
    return 0 if len(of_BT) == 1 else of_BT.stride(0)
