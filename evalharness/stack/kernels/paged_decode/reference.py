"""Row by row, with its keys and values copied together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evalharness.stack.kernels.paged_decode.plan import PagePlan

PATHS_IN_PAGES = True


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
    dtype = torch.promote_types(queries_NHD.dtype, torch.float32)
    mixed_NHD = torch.empty_like(queries_NHD)
    groups, size = cache_2PSGD.shape[3:]
    for row, position in enumerate(plan.positions):
        text = row // plan.width
        path = plan.paths[text]
        pages = torch.tensor([*(path.pages if path is not None else ()), *plan.pages[text]], device=cache_2PSGD.device)
        first = 0 if window is None else max(0, position - window + 1)
        keys_GND, values_GND = cache_2PSGD[:, pages].flatten(1, 2)[:, first : position + 1].to(dtype).transpose(1, 2)
        scores_GRN = queries_NHD[row].to(dtype).view(groups, -1, size) @ keys_GND.mT * scale
        mixed_NHD[row] = (scores_GRN.softmax(-1) @ values_GND).flatten(0, 1).to(mixed_NHD.dtype)
    return mixed_NHD
