"""`fast`: flash attention to the common paths and to the rows' own branches. `exact`: products of one shape each."""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.kernels.flash_attention.in_torch import flash_attention
from evalharness.stack.kernels.shared_prefix_attention.plan import TILE, PrefixPlan, merge


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
    if exact:
        mixed_MHD = torch.empty_like(queries_MHD)
        repeats = queries_MHD.shape[1] // keys_CGD.shape[1]
        for block in plan.blocks(max(1, TILE // repeats)).tolist():
            rows = slice(block[0], block[0] + block[1])
            mixed_MHD[rows] = _exact(queries_MHD[rows], keys_CGD, values_CGD, block[2:], scale, window)
        return mixed_MHD
    parts = [
        flash_attention(queries_MHD[None], keys_CGD[None], values_CGD[None], intervals, scale=scale)
        for intervals in plan.intervals(window)
    ]
    (path, path_sums), (own, own_sums) = parts
    return merge(path[0], path_sums[0], own[0], own_sums[0])


def _exact(
    queries_MHD: Tensor, keys_CGD: Tensor, values_CGD: Tensor, block: list[int], scale: float, window: int | None
) -> Tensor:
    """Some rows of one branch; `block` is its position, path, shared and own.

    All products have 64 rows and 64 keys or more, as those of other shapes may have other bits; 0 fills them up.
    """
    position, path, shared, own = block
    count, heads, size = queries_MHD.shape
    groups = keys_CGD.shape[1]
    repeats, device = heads // groups, queries_MHD.device
    dtype = torch.promote_types(queries_MHD.dtype, torch.float32)
    filled = count * repeats + -(count * repeats) % TILE
    queries_GND = queries_MHD.new_zeros(groups, filled, size, dtype=dtype)
    queries_GND[:, : count * repeats] = queries_MHD.view(count, groups, repeats, size).transpose(0, 1).flatten(1, 2)
    # Rows that only fill the block are at the last position.
    places_N = position + (torch.arange(filled, device=device) // repeats).clamp(max=count - 1)
    best_GN = queries_GND.new_full((groups, filled), -torch.inf)
    total_GN, mixed_GND = torch.zeros_like(best_GN), torch.zeros_like(queries_GND)
    first = 0 if window is None else max(0, position - window + 1) // TILE * TILE
    for begin in range(first, position + count, TILE):
        at = torch.arange(begin, begin + TILE, device=device)
        columns = torch.where(at < shared, path + at, own + at - shared)
        columns = columns.where(at < position + count, columns[0])
        keys_GTD, values_GTD = (x.index_select(0, columns).to(dtype).transpose(0, 1) for x in (keys_CGD, values_CGD))
        distance_NT = places_N[:, None] - at
        hidden = distance_NT < 0 if window is None else (distance_NT < 0) | (distance_NT >= window)
        scores_GNT = torch.bmm(queries_GND, keys_GTD.mT).mul_(scale).masked_fill_(hidden, -torch.inf)
        new_GN = torch.maximum(best_GN, scores_GNT.amax(-1))
        shift_GN = new_GN.masked_fill(new_GN == -torch.inf, 0)
        weights_GNT = scores_GNT.sub_(shift_GN[..., None]).exp_()
        keep_GN = (best_GN - shift_GN).exp_()
        total_GN = total_GN * keep_GN + weights_GNT.sum(-1)
        mixed_GND = mixed_GND * keep_GN[..., None] + torch.bmm(weights_GNT, values_GTD)
        best_GN = new_GN
    mixed_GND /= total_GN[..., None]
    mixed = mixed_GND[:, : count * repeats].view(groups, count, repeats, size).transpose(0, 1)
    return mixed.reshape(count, heads, size).to(queries_MHD.dtype)
