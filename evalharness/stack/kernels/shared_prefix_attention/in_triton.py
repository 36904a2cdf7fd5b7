"""`fast`: the flash attention kernel twice. `exact`: one kernel whose tiles begin at multiples of 64 positions."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.flash_attention.in_triton import LOG2E, dot, flash_attention, head_block
from evalharness.stack.kernels.launching import INTERPRETED, on_device_of
from evalharness.stack.kernels.shared_prefix_attention.plan import TILE, PrefixPlan, merge

BLOCK = 16
"""Rows of a program in `exact`, the same for all shapes, as the bits of a product are those of its shape."""


@triton.jit
def _exact(
    queries, keys, values, blocks, mixed_to, query_m, query_h, key_c, key_g, value_c, value_g,
    window, scale, heads, repeats,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, TILE: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Rows of one branch and one head: position p is column ``path + p``, from `shared` on ``own + p - shared``."""
    block = blocks + tl.program_id(0) * 6
    row = tl.load(block).to(tl.int64)
    count = tl.load(block + 1)
    position = tl.load(block + 2)
    path = tl.load(block + 3)
    shared = tl.load(block + 4)
    own = tl.load(block + 5)
    head = tl.program_id(1).to(tl.int64)
    group = head // repeats
    rows = tl.arange(0, BLOCK_M)
    dims = tl.arange(0, BLOCK_D)
    inside = (rows[:, None] < count) & (dims[None, :] < HEAD_DIM)
    query = tl.load(queries + (row + rows[:, None]) * query_m + head * query_h + dims[None, :], inside, 0.0)
    # Rows that only fill the block are at its last position.
    places = position + tl.minimum(rows, count - 1)
    best = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    mixed = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    end = position + count
    for begin in range(tl.maximum(position - window + 1, 0) // TILE * TILE, end, TILE):
        at = begin + tl.arange(0, TILE)
        column = tl.where(at < shared, path + at, own + at - shared).to(tl.int64)
        kept = (at[:, None] < end) & (dims[None, :] < HEAD_DIM)
        key = tl.load(keys + column[:, None] * key_c + group * key_g + dims[None, :], kept, 0.0)
        value = tl.load(values + column[:, None] * value_c + group * value_g + dims[None, :], kept, 0.0)
        distance = places[:, None] - at[None, :]
        seen = (distance >= 0) & (distance < window)
        scores = tl.where(seen, dot(query, tl.trans(key), UPCAST) * (scale * LOG2E), float("-inf"))
        new_best = tl.maximum(best, tl.max(scores, 1))
        shift = tl.where(new_best == float("-inf"), 0.0, new_best)
        weights = tl.exp2(scores - shift[:, None])
        keep = tl.exp2(best - shift)
        total = total * keep + tl.sum(weights, 1)
        mixed = mixed * keep[:, None] + dot(weights.to(value.dtype), value, UPCAST)
        best = new_best
    to = ((row + rows[:, None]) * heads + head) * HEAD_DIM + dims[None, :]
    tl.store(mixed_to + to, (mixed / total[:, None]).to(mixed_to.dtype.element_ty), inside)


def shared_prefix_attention(
    queries_MHD: Tensor,
    keys_CGD: Tensor,
    values_CGD: Tensor,
    plan: PrefixPlan,
    *,
    scale: float,
    window: int | None = None,
    exact: bool = False,
) -> Tensor:
    if not exact:
        (path, path_sums), (own, own_sums) = (
            flash_attention(queries_MHD[None], keys_CGD[None], values_CGD[None], intervals, scale=scale)
            for intervals in plan.intervals(window)
        )
        return merge(path[0], path_sums[0], own[0], own_sums[0])
    given = (queries_MHD, keys_CGD, values_CGD)
    queries_MHD, keys_CGD, values_CGD = (x if x.stride(-1) == 1 else x.contiguous() for x in given)
    count, heads, size = queries_MHD.shape
    mixed_MHD = torch.empty(queries_MHD.shape, dtype=queries_MHD.dtype, device=queries_MHD.device)
    blocks = plan.blocks(BLOCK)
    if mixed_MHD.numel():
        with on_device_of(queries_MHD):
            _exact[(len(blocks), heads)](
                queries_MHD, keys_CGD, values_CGD, blocks, mixed_MHD, *queries_MHD.stride()[:2], *keys_CGD.stride()[:2],
                *values_CGD.stride()[:2], plan.columns + count if window is None else window, scale, heads,
                heads // keys_CGD.shape[1],
                HEAD_DIM=size, BLOCK_D=head_block(size), BLOCK_M=BLOCK, TILE=TILE, UPCAST=INTERPRETED,
                num_warps=4, num_stages=2,
            )  # fmt: skip
    return mixed_MHD
