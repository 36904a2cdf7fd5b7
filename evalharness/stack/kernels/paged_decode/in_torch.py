"""All pages of all texts in one product, in place; a page belongs to one text, whose queries it meets.

A shared path meets the queries of all its texts in one product, and is read side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evalharness.stack.kernels.paged_decode.plan import PagePlan
from evalharness.stack.kernels.tiles import GRAIN, mix, scores_of, wide

PATHS_IN_PAGES = False


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
    """In `exact`, products have at least 8 rows and probabilities meet values page by page, in order of position."""
    heads, size = cache_2PSGD.shape[3:]
    repeats = queries_NHD.shape[1] // heads
    scaled_NHD = queries_NHD * scale
    queries_RGmD = scaled_NHD.view(plan.count, plan.width, heads, repeats, size).transpose(1, 2).flatten(2, 3)
    used = queries_RGmD.shape[2]
    if exact:
        queries_RGmD = torch.nn.functional.pad(queries_RGmD, (0, 0, 0, -used % GRAIN))
    padded = queries_RGmD.shape[2]

    top = len(plan.owners_B)
    keys_BSD, values_BSD = cache_2PSGD[:, :top].transpose(2, 3).flatten(1, 2).unbind()
    by_page = queries_RGmD.index_select(0, plan.owners_B).flatten(0, 1)
    bias = plan.bias(window, repeats, padded, heads, keys_BSD.dtype)
    scores = scores_of(by_page, keys_BSD, bias).view(top, heads, padded, plan.page)
    best_RGm = _of_texts(scores.amax(-1), plan).amax(1)
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
        mixed_RGmD, total_RGm = wide(_of_texts(own, plan).sum(1)), _of_texts(sums, plan).sum(1)
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


def _of_texts(found: Tensor, plan: PagePlan) -> Tensor:
    """What was found for each page, [B, ...], as each text has them in order, [R, its pages, ...]."""
    # Twice as fast as an index of two dimensions (24 and 52 µs for 64 texts of three pages).
    return found.index_select(0, plan.in_order).view(*plan.table_RB.shape, *found.shape[1:])
