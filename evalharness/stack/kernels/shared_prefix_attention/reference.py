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
    row = 0
    for branch in plan.branches:
        for position in range(branch.start, branch.start + branch.count):
            columns = [*range(branch.path, branch.path + branch.shared)]
            columns += range(branch.own, branch.own + position + 1 - branch.shared)
            seen = torch.tensor(columns if window is None else columns[-window:], device=keys_CGD.device)
            keys_GSD, values_GSD = (x[seen].to(dtype).transpose(0, 1) for x in (keys_CGD, values_CGD))
            scores_GRS = queries_MHD[row].to(dtype).view(groups, -1, size) @ keys_GSD.mT * scale
            mixed_MHD[row] = (scores_GRS.softmax(-1) @ values_GSD).flatten(0, 1).to(mixed_MHD.dtype)
            row += 1
    return mixed_MHD
