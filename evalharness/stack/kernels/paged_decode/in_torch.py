"""All pages of all texts in one product, in place; a page belongs to one text, whose queries it meets.

A shared path meets the queries of all its texts in one product, and is read side by side. In `fast`, few texts without
one have flash attention to each page by itself, which takes a third of the calls.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from evalharness.stack.kernels.paged_decode.plan import Apart, PagePlan
from evalharness.stack.kernels.tiles import grain_of, has_amx, mix, scores_of, wide

PATHS_IN_PAGES = False
FEW = 128
"""Pages up to which flash attention to each is faster than products of all (benchmarks/kernels/paged_decode.py)."""


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
    """In `exact`, products have whole grains of queries, and probabilities meet values page by page, in order of
    position."""
    heads, size = cache_2PSGD.shape[3:]
    repeats = queries_NHD.shape[1] // heads
    if not exact and _few(queries_NHD, plan):
        apart = plan.apart(window, repeats, queries_NHD.dtype)
        if apart is not None:
            return _by_page(queries_NHD.view(plan.count, plan.width, heads, repeats, size), cache_2PSGD, apart, scale)
    scaled_NHD = queries_NHD * scale
    queries_RGmD = scaled_NHD.view(plan.count, plan.width, heads, repeats, size).transpose(1, 2).flatten(2, 3)
    used = queries_RGmD.shape[2]
    if exact:
        queries_RGmD = functional.pad(queries_RGmD, (0, 0, 0, -used % grain_of(size)))
    padded = queries_RGmD.shape[2]

    top = len(plan.owners_B)
    keys_BSD, values_BSD = cache_2PSGD[:, :top].transpose(2, 3).flatten(1, 2).unbind()
    by_page = queries_RGmD.index_select(0, plan.owners_B).flatten(0, 1)
    bias = plan.bias(window, repeats, padded, heads, keys_BSD.dtype)
    scores = scores_of(by_page, keys_BSD, bias).view(top, heads, padded, plan.page)
    # Twice as fast as an index of two dimensions (24 and 52 µs for 64 texts of three pages).
    best_RBGm = scores.amax(-1).index_select(0, plan.in_order).view(*plan.table_RB.shape, heads, padded)
    best_RGm = best_RBGm.amax(1)
    shared = []
    for (_, first, end), (keys_GSD, _) in zip(plan.groups, paths, strict=True):
        group_GMD = queries_RGmD[first:end].transpose(0, 1).flatten(1, 2)
        found = scores_of(group_GMD, keys_GSD)
        if window is not None:
            found.masked_fill_(plan.beyond(first, end, found.shape[-1], window, repeats, padded), -torch.inf)
        best = found.amax(-1).view(heads, end - first, padded).transpose(0, 1)
        best_RGm[first:end] = torch.maximum(best_RGm[first:end], best)
        shared.append(found)

    scores.sub_(best_RGm.index_select(0, plan.owners_B)[..., None]).exp_()
    own = torch.bmm(scores.flatten(0, 1).to(values_BSD.dtype), values_BSD).view(top, heads, padded, size)
    sums = scores.sum(-1)
    if exact:
        mixed_RGmD, total_RGm = best_RGm.new_zeros((*best_RGm.shape, size)), torch.zeros_like(best_RGm)
    else:
        mixed_RGmD, total_RGm = wide(_sum_of_texts(own, plan)), _sum_of_texts(sums, plan)
    for (_, first, end), (_, values_GSD), found in zip(plan.groups, paths, shared, strict=True):
        best_GM = best_RGm[first:end].transpose(0, 1).flatten(1, 2)
        found.sub_(best_GM[..., None]).exp_()
        mixed, total = mix(found, values_GSD, exact)
        shape = (heads, end - first, padded)
        mixed_RGmD[first:end] += mixed.view(*shape, size).transpose(0, 1)
        total_RGm[first:end] += total.view(shape).transpose(0, 1)
    if exact:
        for pages_R in plan.table_RB.unbind(1):
            mixed_RGmD += own.index_select(0, pages_R)
            total_RGm += sums.index_select(0, pages_R)
    mixed_RGmD /= total_RGm[..., None]
    mixed = mixed_RGmD[:, :, :used].to(queries_NHD.dtype)
    return mixed.view(plan.count, heads, plan.width, repeats, size).transpose(1, 2).reshape(queries_NHD.shape)


def _few(queries_NHD: Tensor, plan: PagePlan) -> bool:
    if not queries_NHD.is_cpu or plan.groups or not 0 < len(plan.owners_B) <= FEW:
        return False
    return queries_NHD.dtype == torch.float32 or (queries_NHD.dtype == torch.bfloat16 and has_amx())


def _by_page(queries_RwGrD: Tensor, cache_2PSGD: Tensor, apart: Apart, scale: float) -> Tensor:
    """What each page has by itself, put together by the sums of its weights."""
    count, width, heads, repeats, size = queries_RwGrD.shape
    queries_RGmD = queries_RwGrD.transpose(1, 2).reshape(count, heads, width * repeats, size)
    pages = len(apart.owners_B)
    keys_BGSD, values_BGSD = cache_2PSGD[:, apart.pages].transpose(2, 3).unbind()
    mixed_BGmD, sums_BGm = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        queries_RGmD.expand(pages, -1, -1, -1) if count == 1 else queries_RGmD.index_select(0, apart.owners_B),
        keys_BGSD,
        values_BGSD,
        attn_mask=apart.bias_B1mS,
        scale=scale,
    )
    if apart.order is not None:
        mixed_BGmD, sums_BGm = mixed_BGmD.index_select(0, apart.order), sums_BGm.index_select(0, apart.order)
    sums_RBGm = sums_BGm.view(count, -1, heads, width * repeats)
    if apart.filled_RB11 is not None:
        sums_RBGm = sums_RBGm.masked_fill(apart.filled_RB11, -torch.inf)
    shares_RBGm1 = sums_RBGm.softmax(1)[..., None]
    mixed_RBGmD = mixed_BGmD.view(count, -1, *queries_RGmD.shape[1:])
    mixed_RGmD: Tensor = (mixed_RBGmD * shares_RBGm1).sum(1).to(queries_RGmD.dtype)
    return mixed_RGmD.view(count, heads, width, repeats, size).transpose(1, 2).reshape(count * width, -1, size)


def _sum_of_texts(found: Tensor, plan: PagePlan) -> Tensor:
    """The sum of what was found for each page, [B, ...], over those of each text, [R, ...]."""
    # In one pass: a fifth of the time of gathering them first.
    summed = functional.embedding_bag(plan.own_pages, found.flatten(1), plan.starts_R, mode="sum")
    return summed.view(plan.count, *found.shape[1:])
