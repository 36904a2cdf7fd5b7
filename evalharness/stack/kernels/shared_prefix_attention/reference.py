"""Row by row, with the keys of its path copied together."""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.kernels.shared_prefix_attention.plan import PrefixPlan


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
    dtype = torch.promote_types(queries_MHD.dtype, torch.float32)
    mixed_MHD = torch.empty_like(queries_MHD)
    groups, size = keys_CGD.shape[1:]
    for group in plan.groups:
        for branch in group.branches:
            for number in range(branch.count):
                own = branch.start + number + 1 - branch.first
                columns = [*range(group.common.start, group.common.stop)]
                columns += range(branch.columns.start, branch.columns.start + own)
                seen = torch.tensor(columns if window is None else columns[-window:], device=keys_CGD.device)
                keys_GSD, values_GSD = (x[seen].to(dtype).transpose(0, 1) for x in (keys_CGD, values_CGD))
                row = branch.row + number
                scores_GRS = queries_MHD[row].to(dtype).view(groups, -1, size) @ keys_GSD.mT * scale
                mixed_MHD[row] = (scores_GRS.softmax(-1) @ values_GSD).flatten(0, 1).to(mixed_MHD.dtype)
    return mixed_MHD
