"""Text by text: the processor's flash attention, over keys that are copied only where pages lie apart."""

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
    mixed_BHD = torch.zeros_like(queries_BHD)
    dtype = torch.promote_types(queries_BHD.dtype, torch.float32)
    sums_BH = torch.full(queries_BHD.shape[:2], -torch.inf, dtype=dtype, device=queries_BHD.device)
    groups, size = cache_2SGD.shape[2:]
    attend = _flash if queries_BHD.device.type == "cpu" else _products
    for text, length in enumerate(lengths_B.tolist()):
        if length:
            first = 0 if window is None else max(0, length - window)
            keys_NGD, values_NGD = _kept(cache_2SGD, pages_BP[text], page, first, length)
            # The heads of one group become rows of one matrix of queries.
            queries_GRD = queries_BHD[text].reshape(groups, -1, size)
            mixed, sums = attend(queries_GRD, keys_NGD.transpose(0, 1), values_NGD.transpose(0, 1), scale)
            mixed_BHD[text], sums_BH[text] = mixed.reshape(-1, size), sums.flatten()
    return mixed_BHD, sums_BH


def _kept(cache_2SGD: Tensor, pages_P: Tensor, page: int, first: int, end: int) -> Tensor:
    """Keys and values of the positions from `first` to `end`, [2, N, G, D]."""
    pages = pages_P[first // page : (end - 1) // page + 1]
    begin = int(pages[0])
    if begin + len(pages) - 1 == int(pages[-1]) and bool((pages.diff() == 1).all()):
        slot = begin * page + first % page
        return cache_2SGD[:, slot : slot + end - first]
    slots = (pages.long()[:, None] * page + torch.arange(page, device=pages.device)).flatten()
    return cache_2SGD.index_select(1, slots[first % page :][: end - first])


def _flash(queries_GRD: Tensor, keys_GND: Tensor, values_GND: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        queries_GRD[None], keys_GND[None], values_GND[None], scale=scale
    )
    return found


def _products(queries_GRD: Tensor, keys_GND: Tensor, values_GND: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(queries_GRD.dtype, torch.float32)
    scores_GRN = (queries_GRD @ keys_GND.mT).to(dtype) * scale
    sums_GR = scores_GRN.logsumexp(-1)
    return (scores_GRN - sums_GR[..., None]).exp().to(values_GND.dtype) @ values_GND, sums_GR
