"""Split over keys, so that a few long texts fill a GPU: a program takes `SPLIT` positions for the heads of one group.

A second kernel weighs the parts by their log-sum-exp, in order. Splits begin at multiples of their size, so that the
bits of a text do not depend on the texts beside it.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.flash_attention.in_triton import LOG2E, dot, head_block
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of

SPLIT = 32 if INTERPRETED else 256
TILE = 16 if INTERPRETED else 64


@triton.jit
def _split(
    queries, keys, values, pages, lengths, mixed_to, sums_to, query_b, query_h, cache_s, cache_g, pages_b,
    page, window, scale, repeats, splits,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_N: tl.constexpr, SPLIT: tl.constexpr,
    UPCAST: tl.constexpr,
):  # fmt: skip
    split = tl.program_id(0)
    group = tl.program_id(1).to(tl.int64)
    text = tl.program_id(2).to(tl.int64)
    rows = tl.arange(0, BLOCK_R)
    dims = tl.arange(0, BLOCK_D)
    inside = (rows[:, None] < repeats) & (dims[None, :] < HEAD_DIM)
    head = group * repeats + rows
    query = tl.load(queries + text * query_b + head[:, None] * query_h + dims[None, :], inside, 0.0)
    length = tl.load(lengths + text)
    first = tl.maximum(length - window, 0)
    best = tl.full([BLOCK_R], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_R], tl.float32)
    mixed = tl.zeros([BLOCK_R, BLOCK_D], tl.float32)
    low = tl.maximum(first // BLOCK_N * BLOCK_N, split * SPLIT)
    high = tl.minimum(length, (split + 1) * SPLIT)
    for begin in range(low, high, BLOCK_N):
        at = begin + tl.arange(0, BLOCK_N)
        slot = tl.load(pages + text * pages_b + at // page, at < length, 0).to(tl.int64) * page + at % page
        kept = (at[:, None] < length) & (dims[None, :] < HEAD_DIM)
        place = slot[:, None] * cache_s + group * cache_g + dims[None, :]
        key = tl.load(keys + place, kept, 0.0)
        value = tl.load(values + place, kept, 0.0)
        seen = (at >= first) & (at < length)
        scores = tl.where(seen[None, :], dot(query, tl.trans(key), UPCAST) * (scale * LOG2E), float("-inf"))
        new_best = tl.maximum(best, tl.max(scores, 1))
        shift = tl.where(new_best == float("-inf"), 0.0, new_best)
        weights = tl.exp2(scores - shift[:, None])
        keep = tl.exp2(best - shift)
        total = total * keep + tl.sum(weights, 1)
        mixed = mixed * keep[:, None] + dot(weights.to(value.dtype), value, UPCAST)
        best = new_best
    some = tl.where(total == 0.0, 1.0, total)
    to = (text * tl.num_programs(1) * repeats + head) * splits + split
    tl.store(mixed_to + to[:, None] * HEAD_DIM + dims[None, :], mixed / some[:, None], inside)
    tl.store(sums_to + to, tl.where(total == 0.0, float("-inf"), best + tl.log2(some)), rows < repeats)


@triton.jit
def _merge(mixed, sums, mixed_to, sums_to, splits, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr):
    """``sum_i 2^(l_i - max) O_i / sum_i 2^(l_i - max)``, the l to base 2."""
    row = tl.program_id(0).to(tl.int64)
    dims = tl.arange(0, BLOCK_D)
    best = float("-inf")
    for split in range(splits):
        best = tl.maximum(best, tl.load(sums + row * splits + split))
    shift = tl.where(best == float("-inf"), 0.0, best)
    total = 0.0
    added = tl.zeros([BLOCK_D], tl.float32)
    for split in range(splits):
        weight = tl.exp2(tl.load(sums + row * splits + split) - shift)
        total += weight
        added += weight * tl.load(mixed + (row * splits + split) * HEAD_DIM + dims, dims < HEAD_DIM, 0.0)
    some = tl.where(total == 0.0, 1.0, total)
    tl.store(mixed_to + row * HEAD_DIM + dims, (added / some).to(mixed_to.dtype.element_ty), dims < HEAD_DIM)
    tl.store(sums_to + row, tl.where(total == 0.0, float("-inf"), (shift + tl.log2(some)) / LOG2E))


def paged_decode(
    queries_BHD: Tensor,
    cache_2SGD: Tensor,
    pages_BP: Tensor,
    lengths_B: Tensor,
    *,
    page: int,
    scale: float,
    window: int | None = None,
) -> tuple[Tensor, Tensor]:
    batch, heads, size = queries_BHD.shape
    groups = cache_2SGD.shape[2]
    room = pages_BP.shape[1] * page
    mixed_BHD = torch.empty(queries_BHD.shape, dtype=queries_BHD.dtype, device=queries_BHD.device)
    sums_BH = torch.empty(batch, heads, dtype=torch.float32, device=queries_BHD.device)
    if not mixed_BHD.numel():
        return mixed_BHD, sums_BH
    queries_BHD = queries_BHD if queries_BHD.stride(-1) == 1 else queries_BHD.contiguous()
    # By the room of the table and not by the longest text, which is known only to the GPU.
    splits = max(1, triton.cdiv(room, SPLIT))
    parts = torch.empty(batch, heads, splits, size, dtype=torch.float32, device=queries_BHD.device)
    part_sums = torch.empty(batch, heads, splits, dtype=torch.float32, device=queries_BHD.device)
    repeats = heads // groups
    with on_device_of(queries_BHD):
        _split[(splits, groups, batch)](
            queries_BHD, cache_2SGD[0], cache_2SGD[1], pages_BP, lengths_B, parts, part_sums,
            *queries_BHD.stride()[:2], *cache_2SGD.stride()[1:3], pages_BP.stride(0),
            page, room if window is None else window, scale, repeats, splits,
            HEAD_DIM=size, BLOCK_D=head_block(size), BLOCK_R=head_block(repeats), BLOCK_N=TILE, SPLIT=SPLIT,
            UPCAST=INTERPRETED, num_warps=4, num_stages=2,
        )  # fmt: skip
        _merge[(batch * heads,)](parts, part_sums, mixed_BHD, sums_BH, splits, HEAD_DIM=size, BLOCK_D=head_block(size))
    return mixed_BHD, sums_BH
