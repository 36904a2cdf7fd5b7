"""One kernel for blocks of rows that read the same pages, and one that merges the parts of a row by their log-sum-exp.

In `exact` a row is one part: its pages are added up in order of position, in blocks of one shape, so that its bits do
not depend on what is computed beside it. In `fast` the texts of a group read their path together, and what is long is
split, so that a few texts fill a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.flash_attention.in_triton import LOG2E, dot, head_block
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of
from evalharness.stack.kernels.paged_decode.blocks import FACTS, Blocks
from evalharness.stack.kernels.paged_decode.plan import PagePlan

PATHS_IN_PAGES = True
FACTS_OF_BLOCK = tl.constexpr(FACTS)


# A build for other whole numbers or other addresses may have other bits: `exact` wants one for all steps.
@triton.jit(
    do_not_specialize=["query_n", "cache_p", "cache_g", "rows", "window"],
    do_not_specialize_on_alignment=["queries", "positions", "blocks", "table", "mixed_to", "sums_to"],
)
def attend(
    queries, keys, values, positions, blocks, table, sums_to, query_n, query_h, cache_p, cache_s, cache_g,
    rows, window, scale, heads, repeats, mixed_to,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, PAGE: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """A block's rows, times the heads that read one key head: a running maximum over its pages, in order."""
    block = blocks + tl.program_id(0) * FACTS_OF_BLOCK
    row = tl.load(block).to(tl.int64)
    count = tl.load(block + 1)
    pages = table + tl.load(block + 2)
    first = tl.load(block + 3)
    end = tl.load(block + 4)
    part = tl.load(block + 5).to(tl.int64)
    group = tl.program_id(1).to(tl.int64)
    numbers = tl.arange(0, BLOCK_M)
    dims = tl.arange(0, BLOCK_D)
    used = numbers < count * repeats
    inside = used[:, None] & (dims[None, :] < HEAD_DIM)
    # Queries that only fill the block are at the position of its last row; a block may have none.
    own = row + tl.minimum(numbers // repeats, tl.maximum(count - 1, 0))
    head = group * repeats + numbers % repeats
    query = tl.load(queries + own[:, None] * query_n + head[:, None] * query_h + dims[None, :], inside, 0.0)
    places = tl.load(positions + own)
    best = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    mixed = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    end = tl.minimum(end, tl.max(places, 0) + 1)
    low = first + tl.maximum(tl.min(places, 0) - window + 1 - first, 0) // PAGE * PAGE
    keys += group * cache_g
    values += group * cache_g
    for begin in range(low, end, PAGE):
        page = tl.load(pages + (begin - first) // PAGE).to(tl.int64)
        at = tl.arange(0, PAGE)
        kept = (begin + at[:, None] < end) & (dims[None, :] < HEAD_DIM)
        place = page * cache_p + at[:, None] * cache_s + dims[None, :]
        key = tl.load(keys + place, kept, 0.0)
        value = tl.load(values + place, kept, 0.0)
        distance = places[:, None] - (begin + at[None, :])
        seen = (distance >= 0) & (distance < window)
        scores = tl.where(seen, dot(query, tl.trans(key), UPCAST) * (scale * LOG2E), float("-inf"))
        new_best = tl.maximum(best, tl.max(scores, 1))
        shift = tl.where(new_best == float("-inf"), 0.0, new_best)
        weights = tl.exp2(scores - shift[:, None])
        keep = tl.exp2(best - shift)
        total = total * keep + tl.sum(weights, 1)
        mixed = mixed * keep[:, None] + dot(weights.to(value.dtype), value, UPCAST)
        best = new_best
    some = tl.where(total == 0.0, 1.0, total)
    to = (part * rows + own) * heads + head
    mixed = (mixed / some[:, None]).to(mixed_to.dtype.element_ty)
    tl.store(mixed_to + to[:, None] * HEAD_DIM + dims[None, :], mixed, inside)
    tl.store(sums_to + to, tl.where(total == 0.0, float("-inf"), best + tl.log2(some)), used)


@triton.jit
def _merge(parts_of, sums, mixed_to, parts, count, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr):
    """``sum_i 2^(l_i - max) O_i / sum_i 2^(l_i - max)``, the l to base 2; `count` is that of rows and heads."""
    row = tl.program_id(0).to(tl.int64)
    dims = tl.arange(0, BLOCK_D)
    best = float("-inf")
    for part in range(parts):
        best = tl.maximum(best, tl.load(sums + part * count + row))
    shift = tl.where(best == float("-inf"), 0.0, best)
    total = 0.0
    added = tl.zeros([BLOCK_D], tl.float32)
    for part in range(parts):
        weight = tl.exp2(tl.load(sums + part * count + row) - shift)
        total += weight
        # What no block has written is not read.
        written = tl.where(weight > 0.0, HEAD_DIM, 0)
        added += weight * tl.load(parts_of + (part * count + row) * HEAD_DIM + dims, dims < written, 0.0)
    mixed = (added / tl.where(total == 0.0, 1.0, total)).to(mixed_to.dtype.element_ty)
    tl.store(mixed_to + row * HEAD_DIM + dims, mixed, dims < HEAD_DIM)


def attend_blocks(
    queries_NHD: Tensor, cache_2PSGD: Sequence[Tensor], blocks: Blocks, scale: float, window: int | None
) -> Tensor:
    """Outputs [N, H, D] of the rows that blocks have."""
    count, heads, size = queries_NHD.shape
    keys_PSGD, values_PSGD = cache_2PSGD
    mixed_NHD = torch.empty(queries_NHD.shape, dtype=queries_NHD.dtype, device=queries_NHD.device)
    if not mixed_NHD.numel():
        return mixed_NHD
    queries_NHD = queries_NHD if queries_NHD.stride(-1) == 1 else queries_NHD.contiguous()
    groups = keys_PSGD.shape[2]
    parts = mixed_NHD[None]
    if blocks.parts > 1:
        parts = torch.empty(blocks.parts, count, heads, size, dtype=torch.float32, device=queries_NHD.device)
    sums = torch.full(parts.shape[:3], -torch.inf, dtype=torch.float32, device=queries_NHD.device)
    page, longest = keys_PSGD.shape[1], 1 << 30
    with on_device_of(queries_NHD):
        attend[(blocks.count, groups)](
            queries_NHD, keys_PSGD, values_PSGD, blocks.positions, blocks.blocks, blocks.packed, sums,
            *queries_NHD.stride()[:2], *keys_PSGD.stride()[:3], count, window or longest, scale, heads,
            heads // groups, parts,
            HEAD_DIM=size, BLOCK_D=head_block(size), BLOCK_M=blocks.queries, PAGE=page, UPCAST=INTERPRETED,
            num_warps=4, num_stages=2,
        )  # fmt: skip
        if blocks.parts > 1:
            _merge[(count * heads,)](
                parts, sums, mixed_NHD, blocks.parts, count * heads, HEAD_DIM=size, BLOCK_D=head_block(size)
            )
    return mixed_NHD


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
