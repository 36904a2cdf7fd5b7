"""Text by text, with its keys and values copied together."""

from __future__ import annotations

import torch
from torch import Tensor


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
    dtype = torch.promote_types(queries_BHD.dtype, torch.float32)
    mixed_BHD = torch.zeros_like(queries_BHD)
    sums_BH = torch.full(queries_BHD.shape[:2], -torch.inf, dtype=dtype, device=queries_BHD.device)
    groups = cache_2SGD.shape[2]
    for text, length in enumerate(lengths_B.tolist()):
        places = torch.arange(max(0, length - window) if window is not None else 0, length, device=pages_BP.device)
        slots = pages_BP[text, places // page].long() * page + places % page
        keys_GND, values_GND = cache_2SGD[:, slots].to(dtype).transpose(1, 2)
        queries_GRD = queries_BHD[text].to(dtype).view(groups, -1, queries_BHD.shape[2])
        scores_GRN = queries_GRD @ keys_GND.mT * scale
        if length:
            sums_BH[text] = scores_GRN.logsumexp(-1).flatten()
            mixed_BHD[text] = (scores_GRN.softmax(-1) @ values_GND).flatten(0, 1).to(mixed_BHD.dtype)
    return mixed_BHD, sums_BH
