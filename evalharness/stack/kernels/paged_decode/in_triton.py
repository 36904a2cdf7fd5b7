"""One kernel for blocks of rows that read the same pages, and one that merges the parts of a row by their log-sum-exp.

In `exact` a row is one part: its pages are added up in order of position, in blocks of one shape, so that its bits do
not depend on what is computed beside it. In `fast` the texts of a group read their path together, and what is long is
split, so that a few texts fill a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.flash_attention.in_triton import LOG2E, dot, head_block
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of, target_of
from evalharness.stack.kernels.paged_decode.blocks import FACTS, MERGED, Blocks, tile_of
from evalharness.stack.kernels.paged_decode.plan import PagePlan

PATHS_IN_PAGES = True
FACTS_OF_BLOCK = tl.constexpr(FACTS)


# A build for other whole numbers, other addresses or (on ROCm) larger memory may have other bits: `exact` wants one for
# all steps. All that a build knows of them is UNIT, which follows from the model alone.
@triton.jit(
    do_not_specialize=[
        "queries", "keys", "values", "positions", "blocks", "table", "sums_to", "mixed_to", "query_n", "query_h",
        "cache_p", "cache_s", "cache_g", "rows", "window",
    ]
)  # fmt: skip
def attend(
    queries, keys, values, positions, blocks, table, sums_to, query_n, query_h, cache_p, cache_s, cache_g,
    rows, window, scale, heads, repeats, mixed_to,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, PAGE: tl.constexpr, STEP: tl.constexpr,
    UNIT: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """A block's rows, times the heads that read one key head: a running maximum over its pages, in order.

    Addresses and strides of queries, keys and values are multiples of UNIT numbers; a page is read in steps of STEP.
    """
    BYTES: tl.constexpr = UNIT * keys.dtype.element_ty.primitive_bitwidth // 8
    STEPS: tl.constexpr = PAGE // STEP
    # Programs that run together are those of all heads of a page, whose keys lie side by side.
    groups = heads // repeats
    group = (tl.program_id(0) % groups).to(tl.int64)
    block = blocks + tl.program_id(0) // groups * FACTS_OF_BLOCK
    row = tl.load(block).to(tl.int64)
    count = tl.load(block + 1)
    least = tl.load(block + 2)
    end = tl.load(block + 3)
    pages = table + tl.load(block + 4)
    first = tl.load(block + 5)
    part = tl.load(block + 6)
    numbers = tl.arange(0, BLOCK_M)
    dims = tl.arange(0, BLOCK_D)
    used = numbers < count * repeats
    inside = used[:, None] & (dims[None, :] < HEAD_DIM)
    # Queries that only fill the block are at the position of its last row; a block may have none.
    own = tl.minimum(numbers // repeats, tl.maximum(count - 1, 0))
    head = numbers % repeats
    queries = tl.multiple_of(queries + row * query_n + group * repeats * query_h, BYTES)
    query_at = tl.multiple_of(own.to(tl.int64) * query_n + head * query_h, UNIT)
    query = tl.load(queries + query_at[:, None] + dims[None, :], inside, 0.0)
    places = tl.load(positions + row + own)
    low = tl.maximum(least - window + 1 - first, 0) // STEP
    high = (end - first + STEP - 1) // STEP
    best = tl.full([BLOCK_M], float("-inf"), tl.float32)
    totals = tl.zeros([BLOCK_M, STEP], tl.float32)
    mixed = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    at = tl.arange(0, STEP)
    place = tl.multiple_of(at * cache_s.to(tl.int32), UNIT)[:, None] + dims[None, :]
    keys += group * cache_g
    values += group * cache_g
    page = tl.load(pages + low // STEPS, low < high, 0)
    for number in range(low, high):
        here = page.to(tl.int64) * cache_p + number % STEPS * STEP * cache_s
        # Where the next keys lie must be known as soon as they can be asked for.
        page = tl.load(pages + (number + 1) // STEPS, number + 1 < high, 0)
        begin = first + number * STEP
        kept = (begin + at[:, None] < end) & (dims[None, :] < HEAD_DIM)
        key = tl.load(tl.multiple_of(keys + here, BYTES) + place, kept, 0.0)
        value = tl.load(tl.multiple_of(values + here, BYTES) + place, kept, 0.0)
        distance = places[:, None] - at[None, :] - begin
        seen = (distance >= 0) & (distance < window)
        scores = tl.where(seen, dot(query, tl.trans(key), UPCAST) * (scale * LOG2E), float("-inf"))
        new_best = tl.maximum(best, tl.max(scores, 1))
        shift = tl.where(new_best == float("-inf"), 0.0, new_best)
        weights = tl.exp2(scores - shift[:, None])
        keep = tl.exp2(best - shift)[:, None]
        totals = totals * keep + weights
        mixed = mixed * keep + dot(weights.to(value.dtype), value, UPCAST)
        best = new_best
    total = tl.sum(totals, 1)
    some = tl.where(total == 0.0, 1.0, total)
    to = (part.to(tl.int64) * rows + row) * heads + group * repeats
    mixed_to = tl.multiple_of(mixed_to + to * HEAD_DIM, BYTES)
    mixed_at = tl.multiple_of((own * heads + head) * HEAD_DIM, UNIT)
    mixed = (mixed / some[:, None]).to(mixed_to.dtype.element_ty)
    tl.store(mixed_to + mixed_at[:, None] + dims[None, :], mixed, inside)
    sums = tl.where(total == 0.0, float("-inf"), best + tl.log2(some))
    tl.store(sums_to + to + own * heads + head, sums, used)


@triton.jit
def _merge(
    parts_of, sums, mixed_to, parts, count, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_P: tl.constexpr
):
    """``sum_i 2^(l_i - max) O_i / sum_i 2^(l_i - max)``, the l to base 2; `count` is that of rows and heads."""
    row = tl.program_id(0).to(tl.int64)
    dims = tl.arange(0, BLOCK_D)
    best = float("-inf")
    total = 0.0
    added = tl.zeros([BLOCK_D], tl.float32)
    for begin in range(0, parts, BLOCK_P):
        part = begin + tl.arange(0, BLOCK_P)
        at = part.to(tl.int64) * count + row
        here = tl.load(sums + at, part < parts, float("-inf"))
        new_best = tl.maximum(best, tl.max(here, 0))
        shift = tl.where(new_best == float("-inf"), 0.0, new_best)
        weights = tl.exp2(here - shift)
        # What no block has written is not read.
        written = (weights[:, None] > 0.0) & (dims[None, :] < HEAD_DIM)
        mixed = tl.load(parts_of + at[:, None] * HEAD_DIM + dims[None, :], written, 0.0)
        keep = tl.exp2(best - shift)
        total = total * keep + tl.sum(weights, 0)
        added = added * keep + tl.sum(weights[:, None] * mixed, 0)
        best = new_best
    merged = (added / tl.where(total == 0.0, 1.0, total)).to(mixed_to.dtype.element_ty)
    tl.store(mixed_to + row * HEAD_DIM + dims, merged, dims < HEAD_DIM)


def attend_blocks(
    queries_NHD: Tensor, cache_2PSGD: Sequence[Tensor], blocks: Blocks, scale: float, window: int | None
) -> Tensor:
    """Outputs [N, H, D] of the rows that blocks have."""
    count, heads, size = queries_NHD.shape
    keys_PSGD, values_PSGD = cache_2PSGD
    mixed_NHD = torch.empty(queries_NHD.shape, dtype=queries_NHD.dtype, device=queries_NHD.device)
    if not mixed_NHD.numel():
        return mixed_NHD
    unit = unit_of(keys_PSGD, values_PSGD)
    if queries_NHD.stride(-1) != 1 or unit_of(queries_NHD) < unit:
        queries_NHD = queries_NHD.clone(memory_format=torch.contiguous_format)
    groups, page, longest = keys_PSGD.shape[2], keys_PSGD.shape[1], 1 << 30
    block = head_block(size)
    tile = tile_of(blocks.queries, block, queries_NHD.element_size(), page, target_of(queries_NHD))
    device, shape = queries_NHD.device, (blocks.parts, count, heads)
    if blocks.parts == 1:
        parts, sums = mixed_NHD, torch.empty(shape, dtype=torch.float32, device=device)
    else:  # the sums of parts that a row does not have stay at -inf
        parts = torch.empty(*shape, size, dtype=torch.float32, device=device)
        sums = torch.full(shape, -torch.inf, dtype=torch.float32, device=device)
    with on_device_of(queries_NHD):
        attend[(blocks.count * groups,)](
            queries_NHD, keys_PSGD, values_PSGD, blocks.positions, blocks.blocks, blocks.pages, sums,
            *queries_NHD.stride()[:2], *keys_PSGD.stride()[:3], count, window or longest, scale, heads,
            heads // groups, parts,
            HEAD_DIM=size, BLOCK_D=block, BLOCK_M=blocks.queries, PAGE=page, STEP=tile.step, UNIT=unit,
            UPCAST=INTERPRETED, num_warps=tile.warps, num_stages=tile.stages,
        )  # fmt: skip
        if blocks.parts > 1:
            _merge[(count * heads,)](
                parts, sums, mixed_NHD, blocks.parts, count * heads, HEAD_DIM=size, BLOCK_D=block, BLOCK_P=MERGED,
                num_warps=4, num_stages=2,
            )  # fmt: skip
    return mixed_NHD


def unit_of(*tensors: Tensor) -> int:
    """Numbers that heads and the addresses and strides of tensors [..., D] are multiples of, up to 16 bytes: what a
    GPU loads at once."""
    unit = 16 // tensors[0].element_size()
    for x in tensors:
        unit = math.gcd(unit, x.shape[-1], x.data_ptr() // x.element_size(), *x.stride()[:-1])
    return unit


def paged_decode(
    queries_NHD: Tensor,
    cache_2PSGD: Tensor,
    plan: PagePlan,
    *,
    scale: float,
    window: int | None = None,
    exact: bool = False,
    paths: Sequence[Tensor] = (),
) -> Tensor:
    blocks = plan.blocks(queries_NHD.shape[1] // cache_2PSGD.shape[3], exact)
    return attend_blocks(queries_NHD, (cache_2PSGD[0], cache_2PSGD[1]), blocks, scale, window)
