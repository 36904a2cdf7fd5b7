"""`fast`: the flash attention kernel twice. `exact`: the kernel of `paged_decode`, to which tiles of columns are pages,
so that a token that was read has the bits of one that was drawn."""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.flash_attention.in_triton import flash_attention
from evalharness.stack.kernels.paged_decode.in_triton import attend, attend_blocks
from evalharness.stack.kernels.shared_prefix_attention.plan import PrefixPlan, merge
from evalharness.stack.kernels.tiles import TILE

__all__ = ["attend", "shared_prefix_attention"]


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
    if keys_CGD.stride() != values_CGD.stride() or keys_CGD.stride(-1) != 1:
        keys_CGD, values_CGD = keys_CGD.contiguous(), values_CGD.contiguous()
    columns = (keys_CGD.unflatten(0, (-1, TILE)), values_CGD.unflatten(0, (-1, TILE)))
    blocks = plan.blocks(queries_MHD.shape[1] // keys_CGD.shape[1])
    return attend_blocks(queries_MHD, columns, blocks, scale, window)
