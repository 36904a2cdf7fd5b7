"""Flash attention, forward and backward (Dao 2023, arXiv:2307.08691), with one interval of keys for each query.

Tiles of keys begin at multiples of their size, and a tile that a query does not see leaves its numbers as they were,
so that a query's bits do not depend on the queries that are computed beside it. The backward pass has one program for
a tile of keys and one for a tile of queries, each of which adds up in order: there are no atomics.

The rows that a program owns are the left side of each product, so that weights are one as they lie in registers, which
Hopper's products take: the program of a tile of keys has scores of [keys, queries]. A product that exponents do not
need stands near them, for compilers to let both go on at once. And tiles that need no mask have no loop of their own:
an accumulator that went from loop to loop made ptxas wait for each part of a product (its warning C7515).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.flash_attention import ROWS, Blocks, blocks
from evalharness.stack.kernels.flash_attention.intervals import KeyIntervals
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of, target_of

LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def dot(left, right, UPCAST: tl.constexpr):
    """Product with sums in fp32; UPCAST as the interpreter multiplies the raw bits of bf16."""
    if UPCAST:
        return tl.dot(left.to(tl.float32), right.to(tl.float32), input_precision="ieee")
    return tl.dot(left, right, input_precision="ieee")


@triton.jit
def _row(at, row, row_stride):
    """Where a row begins, which 32 bits may not count to."""
    return at + tl.cast(row, tl.int64) * row_stride


@triton.jit
def _tile(at, rows, dims, row_stride, count, HEAD_DIM: tl.constexpr):
    """Rows of a matrix that begins at `at`, 0 behind the last one, [rows, dims]."""
    inside = (rows[:, None] < count) & (dims[None, :] < HEAD_DIM)
    return tl.load(at + (rows[:, None] * row_stride + dims[None, :]), mask=inside, other=0.0)


@triton.jit
def _seen(scores, owned, others, first, end, partly, scale, slope, ALIBI: tl.constexpr):
    """Scores of the rows `owned` with the tile `others`, -inf outside of a row's interval, and what is yet to be
    multiplied.

    Without ALiBi the scale is left to the exponent, where a product and a difference are one operation. Most tiles
    are seen by all rows and need no comparisons: there `partly` is False.
    """
    factor = scale
    if ALIBI:
        scores = scores * scale - slope * tl.abs(owned[:, None] - others[None, :]).to(tl.float32)
        factor = 1.0
    if partly:
        inside = (others[None, :] >= first[:, None]) & (others[None, :] < end[:, None])
        scores = tl.where(inside, scores, float("-inf"))
    return scores, factor


@triton.jit
def _forward(
    queries, keys, values, first_of, end_of, slopes, mixed_to, sums_to,
    query_b, query_t, query_h, key_b, key_s, key_g, value_b, value_s, value_g, interval_b,
    count, seen, offset, scale, heads, repeats,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    ALIBI: tl.constexpr, UPCAST: tl.constexpr, AHEAD: tl.constexpr,
):  # fmt: skip
    """A tile of queries of one head: ``O = sum_j exp(s_j - m) v_j / sum_j exp(s_j - m)`` with a running maximum m.

    With AHEAD the scores of the next tile of keys are begun before the weights of this one are made, so that the
    products of the one go on beside the exponents of the other; both must have room in registers.
    """
    batch = (tl.program_id(1) // heads).to(tl.int64)
    head = (tl.program_id(1) % heads).to(tl.int64)
    # Under a causal mask the last tiles have the most keys: they go first, so that the last to end are short.
    begin_row = (tl.num_programs(0) - 1 - tl.program_id(0)) * BLOCK_M
    own, others, dims = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_D)
    rows = begin_row + own
    near = tl.minimum(rows, count - 1)
    first = tl.load(first_of + batch * interval_b + near)
    end = tl.load(end_of + batch * interval_b + near)
    slope = 0.0
    if ALIBI:
        slope = tl.load(slopes + head) * LOG2E
    scale = scale * LOG2E
    queries = _row(queries + batch * query_b + head * query_h, begin_row, query_t)
    query = _tile(queries, own, dims, query_t, count - begin_row, HEAD_DIM)
    keys += batch * key_b + (head // repeats) * key_g
    values += batch * value_b + (head // repeats) * value_g
    best = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    mixed = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    low = tl.min(first, 0) // BLOCK_N * BLOCK_N
    high = tl.max(end, 0)
    whole, edge = tl.max(first, 0), tl.min(end, 0)
    if AHEAD:
        key = _tile(_row(keys, low, key_s), others, dims, key_s, seen - low, HEAD_DIM)
        scores = dot(query, tl.trans(key), UPCAST)
    for begin in range(low, high, BLOCK_N):
        if AHEAD:
            after = begin + BLOCK_N
            key = _tile(_row(keys, after, key_s), others, dims, key_s, seen - after, HEAD_DIM)
            following = dot(query, tl.trans(key), UPCAST)
        else:
            key = _tile(_row(keys, begin, key_s), others, dims, key_s, seen - begin, HEAD_DIM)
            scores = dot(query, tl.trans(key), UPCAST)
        partly = (begin < whole) | (begin + BLOCK_N > edge)
        scores, factor = _seen(scores, rows + offset, begin + others, first, end, partly, scale, slope, ALIBI)
        new_best = tl.maximum(best, tl.max(scores, 1) * factor)
        shift = tl.where(new_best == float("-inf"), 0.0, new_best)
        weights = tl.exp2(scores * factor - shift[:, None])
        keep = tl.exp2(best - shift)
        total = total * keep + tl.sum(weights, 1)
        value = _tile(_row(values, begin, value_s), others, dims, value_s, seen - begin, HEAD_DIM)
        mixed = mixed * keep[:, None] + dot(weights.to(value.dtype), value, UPCAST)
        best = new_best
        if AHEAD:
            scores = following
    mixed = mixed / tl.where(total == 0.0, 1.0, total)[:, None]
    sums = tl.where(total == 0.0, float("-inf"), (best + tl.log2(tl.where(total == 0.0, 1.0, total))) / LOG2E)
    inside = rows < count
    mixed_to += ((batch * count + begin_row) * heads + head) * HEAD_DIM
    at = mixed_to + (own[:, None] * (heads * HEAD_DIM) + dims[None, :])
    tl.store(at, mixed.to(mixed_to.dtype.element_ty), mask=inside[:, None] & (dims[None, :] < HEAD_DIM))
    tl.store(sums_to + (batch * heads + head) * count + rows, sums, mask=inside)


@triton.jit
def _delta(
    mixed, gradient, sums_of, delta_to, shift_to, mixed_b, mixed_t, mixed_h, gradient_b, gradient_t, gradient_h,
    count, heads,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """Of each query ``delta_i = sum_d dO_id O_id``, which is the sum of ``dP_ij P_ij`` over all keys, and what the
    exponents of its weights are lessened by."""
    batch = (tl.program_id(1) // heads).to(tl.int64)
    head = (tl.program_id(1) % heads).to(tl.int64)
    begin = tl.program_id(0) * BLOCK_M
    own, dims = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_D)
    mixed = _row(mixed + batch * mixed_b + head * mixed_h, begin, mixed_t)
    gradient = _row(gradient + batch * gradient_b + head * gradient_h, begin, gradient_t)
    out = _tile(mixed, own, dims, mixed_t, count - begin, HEAD_DIM).to(tl.float32)
    grad = _tile(gradient, own, dims, gradient_t, count - begin, HEAD_DIM).to(tl.float32)
    at = (batch * heads + head) * count + begin + own
    inside = own < count - begin
    sums = tl.load(sums_of + at, mask=inside, other=0.0)
    tl.store(delta_to + at, tl.sum(out * grad, 1), mask=inside)
    tl.store(shift_to + at, tl.where(sums == float("-inf"), 0.0, sums * LOG2E), mask=inside)


@triton.jit
def _backward_keys(
    queries, keys, values, gradient, shift_of, delta_of, first_of, end_of, slopes, key_to, value_to,
    query_b, query_t, query_h, key_b, key_s, key_g, value_b, value_s, value_g,
    gradient_b, gradient_t, gradient_h, interval_b,
    count, seen, offset, scale, groups, repeats,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    ALIBI: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """A tile of M keys of one head, over tiles of N queries that see it: ``dV = P^T dO`` and ``dK = scale dS^T Q``.

    `first_of` and `end_of` are the intervals of queries that see each key.
    """
    batch = (tl.program_id(1) // groups).to(tl.int64)
    group = (tl.program_id(1) % groups).to(tl.int64)
    begin_row = tl.program_id(0) * BLOCK_M
    own, others, dims = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_D)
    rows = begin_row + own
    near = tl.minimum(rows, seen - 1)
    first = tl.load(first_of + batch * interval_b + near)
    end = tl.load(end_of + batch * interval_b + near)
    keys = _row(keys + batch * key_b + group * key_g, begin_row, key_s)
    values = _row(values + batch * value_b + group * value_g, begin_row, value_s)
    key = _tile(keys, own, dims, key_s, seen - begin_row, HEAD_DIM)
    value = _tile(values, own, dims, value_s, seen - begin_row, HEAD_DIM)
    key_sum = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    value_sum = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    low = tl.min(first, 0) // BLOCK_N * BLOCK_N
    high = tl.max(end, 0)
    whole, edge = tl.max(first, 0), tl.min(end, 0)
    for repeat in range(repeats):
        head = group * repeats + repeat
        slope = 0.0
        if ALIBI:
            slope = tl.load(slopes + head) * LOG2E
        queries_of = queries + batch * query_b + head * query_h
        gradient_of = gradient + batch * gradient_b + head * gradient_h
        for begin in range(low, high, BLOCK_N):
            query = _tile(_row(queries_of, begin, query_t), others, dims, query_t, count - begin, HEAD_DIM)
            scores = dot(key, tl.trans(query), UPCAST)
            partly = (begin < whole) | (begin + BLOCK_N > edge)
            columns = begin + others
            scores, factor = _seen(scores, rows - offset, columns, first, end, partly, scale * LOG2E, slope, ALIBI)
            at = (batch * groups * repeats + head) * count + columns
            shift = tl.load(shift_of + at, mask=columns < count, other=0.0)
            weights = tl.exp2(scores * factor - shift[None, :])
            grad = _tile(_row(gradient_of, begin, gradient_t), others, dims, gradient_t, count - begin, HEAD_DIM)
            change = dot(value, tl.trans(grad), UPCAST)
            delta = tl.load(delta_of + at, mask=columns < count, other=0.0)
            change = weights * (change - delta[None, :])
            value_sum += dot(weights.to(grad.dtype), grad, UPCAST)
            key_sum += dot(change.to(query.dtype), query, UPCAST)
    at = ((batch * seen + rows[:, None]) * groups + group) * HEAD_DIM + dims[None, :]
    inside = (rows[:, None] < seen) & (dims[None, :] < HEAD_DIM)
    tl.store(key_to + at, (key_sum * scale).to(key_to.dtype.element_ty), mask=inside)
    tl.store(value_to + at, value_sum.to(value_to.dtype.element_ty), mask=inside)


@triton.jit
def _backward_queries(
    queries, keys, values, gradient, shift_of, delta_of, first_of, end_of, slopes, query_to,
    query_b, query_t, query_h, key_b, key_s, key_g, value_b, value_s, value_g,
    gradient_b, gradient_t, gradient_h, interval_b,
    count, seen, offset, scale, heads, repeats,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    ALIBI: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """A tile of queries of one head, over the keys that it sees: ``dQ = scale dS K``."""
    batch = (tl.program_id(1) // heads).to(tl.int64)
    head = (tl.program_id(1) % heads).to(tl.int64)
    begin_row = (tl.num_programs(0) - 1 - tl.program_id(0)) * BLOCK_M
    own, others, dims = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_D)
    rows = begin_row + own
    near = tl.minimum(rows, count - 1)
    first = tl.load(first_of + batch * interval_b + near)
    end = tl.load(end_of + batch * interval_b + near)
    slope = 0.0
    if ALIBI:
        slope = tl.load(slopes + head) * LOG2E
    queries = _row(queries + batch * query_b + head * query_h, begin_row, query_t)
    gradient = _row(gradient + batch * gradient_b + head * gradient_h, begin_row, gradient_t)
    query = _tile(queries, own, dims, query_t, count - begin_row, HEAD_DIM)
    grad = _tile(gradient, own, dims, gradient_t, count - begin_row, HEAD_DIM)
    shift = tl.load(shift_of + (batch * heads + head) * count + near)
    delta = tl.load(delta_of + (batch * heads + head) * count + near)
    keys += batch * key_b + (head // repeats) * key_g
    values += batch * value_b + (head // repeats) * value_g
    query_sum = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    low = tl.min(first, 0) // BLOCK_N * BLOCK_N
    high = tl.max(end, 0)
    whole, edge = tl.max(first, 0), tl.min(end, 0)
    for begin in range(low, high, BLOCK_N):
        key = _tile(_row(keys, begin, key_s), others, dims, key_s, seen - begin, HEAD_DIM)
        value = _tile(_row(values, begin, value_s), others, dims, value_s, seen - begin, HEAD_DIM)
        scores = dot(query, tl.trans(key), UPCAST)
        partly = (begin < whole) | (begin + BLOCK_N > edge)
        scores, factor = _seen(scores, rows + offset, begin + others, first, end, partly, scale * LOG2E, slope, ALIBI)
        weights = tl.exp2(scores * factor - shift[:, None])
        change = weights * (dot(grad, tl.trans(value), UPCAST) - delta[:, None])
        query_sum += dot(change.to(key.dtype), key, UPCAST)
    query_to += ((batch * count + begin_row) * heads + head) * HEAD_DIM
    at = query_to + (own[:, None] * (heads * HEAD_DIM) + dims[None, :])
    mask = (rows[:, None] < count) & (dims[None, :] < HEAD_DIM)
    tl.store(at, (query_sum * scale).to(query_to.dtype.element_ty), mask=mask)


def head_block(size: int) -> int:
    """Numbers of a head that a tile holds: a power of two, and 16 for `tl.dot`."""
    block: int = max(16, triton.next_power_of_2(size))
    return block


def _blocks(kernel: str, like: Tensor) -> Blocks:
    found = blocks(kernel, target_of(like), like.shape[-1], wide=like.element_size() > 2)
    return found._replace(own=16, others=16) if INTERPRETED else found


def _laid_out(x: Tensor) -> Tensor:
    """With the numbers of a head side by side, and rows that are near enough for offsets of 32 bits in a tile."""
    return x if x.stride(-1) == 1 and x.stride(1) < 2**24 else x.contiguous()


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
        queries, keys, values = (_laid_out(x) for x in (queries, keys, values))
        mixed, sums = _run_forward(queries, keys, values, intervals, scale, slopes)
        ctx.save_for_backward(queries, keys, values, mixed, sums, slopes)
        ctx.intervals, ctx.scale = intervals, scale
        ctx.mark_non_differentiable(sums)
        return mixed, sums

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient, _):
        queries, keys, values, mixed, sums, slopes = ctx.saved_tensors
        gradient = _laid_out(gradient)
        found = _run_backward(queries, keys, values, mixed, sums, gradient, ctx.intervals, ctx.scale, slopes)
        return *found, None, None, None


def _launched(tiles: Blocks, size: int, slopes: Tensor | None) -> dict[str, int | bool]:
    """What all kernels that make scores are launched with."""
    return {
        "HEAD_DIM": size, "BLOCK_D": head_block(size), "BLOCK_M": tiles.own, "BLOCK_N": tiles.others,
        "ALIBI": slopes is not None, "UPCAST": INTERPRETED, "num_warps": tiles.warps, "num_stages": tiles.stages,
    }  # fmt: skip


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
    tiles = _blocks("forward", queries)
    with on_device_of(queries):
        _forward[(triton.cdiv(count, tiles.own), batch * heads)](
            queries, keys, values, intervals.first_BT, intervals.end_BT,
            sums if slopes is None else slopes, mixed, sums,
            *queries.stride()[:3], *keys.stride()[:3], *values.stride()[:3], _stride(intervals.first_BT),
            count, seen, intervals.offset, scale, heads, heads // groups,
            AHEAD=tiles.ahead, **_launched(tiles, size, slopes),
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
    delta, shift = torch.empty_like(sums), torch.empty_like(sums)
    # A key is seen by one interval of queries, as a query sees one of keys.
    query_first, query_end = intervals.queries_of()
    strides = (*queries.stride()[:3], *keys.stride()[:3], *values.stride()[:3], *gradient.stride()[:3])
    inputs = (queries, keys, values, gradient, shift, delta)
    slopes_or = sums if slopes is None else slopes
    by_key, by_query = _blocks("keys", queries), _blocks("queries", queries)
    with on_device_of(queries):
        _delta[(triton.cdiv(count, ROWS), batch * heads)](
            mixed, gradient, sums, delta, shift, *mixed.stride()[:3], *gradient.stride()[:3], count, heads,
            HEAD_DIM=size, BLOCK_D=head_block(size), BLOCK_M=ROWS,
        )  # fmt: skip
        _backward_keys[(triton.cdiv(seen, by_key.own), batch * groups)](
            *inputs, query_first, query_end, slopes_or, by_keys, by_values, *strides, _stride(query_first),
            count, seen, intervals.offset, scale, groups, heads // groups, **_launched(by_key, size, slopes),
        )  # fmt: skip
        _backward_queries[(triton.cdiv(count, by_query.own), batch * heads)](
            *inputs, intervals.first_BT, intervals.end_BT, slopes_or, by_queries, *strides,
            _stride(intervals.first_BT),
            count, seen, intervals.offset, scale, heads, heads // groups, **_launched(by_query, size, slopes),
        )  # fmt: skip
    return by_queries, by_keys, by_values


def _stride(of_BT: Tensor) -> int:
    """From one sequence to the next: 0 where all are alike."""
    return 0 if len(of_BT) == 1 else of_BT.stride(0)
