"""`fast`: large parts in whole products of oneDNN, small ones with the processor's flash attention, with AMX all parts,
merged by their log-sum-exp. `exact`: the true maximum of a row first, and then tiles of 64 positions in order.

`exact` rests on matrix products whose rows do not depend on each other: MKL's hold that for whole grains of queries
(`grain_of`). Letters in names: M rows of the line, or the queries of one key head, which are rows x H/G; C columns, S
keys of a part, H query heads, G key and value heads, D size of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.kernels.shared_prefix_attention.plan import Group, PrefixPlan
from evalharness.stack.kernels.tiles import add_tiles, grain_of, has_amx, scores_of, wide
from evalharness.stack.layers.linear import can_pack, product

LARGE = 1 << 16
"""Scores of one head from which on whole products are faster than flash attention without AMX
(benchmarks/engine/attention.py)."""


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
    count, heads, size = queries_MHD.shape
    groups, repeats = keys_CGD.shape[1], heads // keys_CGD.shape[1]
    scaled_MHD = queries_MHD * scale
    keys_GCD, values_GCD = keys_CGD.transpose(0, 1), values_CGD.transpose(0, 1)
    # Room behind the last query, so that products of whole grains can read on.
    queries_GMD = scaled_MHD.new_zeros(groups, count * repeats + grain_of(size), size)
    queries_GMD[:, : count * repeats].view(groups, count, repeats, size).copy_(
        scaled_MHD.view(count, groups, repeats, size).transpose(0, 1)
    )
    mixed_GMD = torch.empty_like(queries_GMD)
    attend = _attend_exact if exact else _attend_fast
    for group in plan.groups:
        attend(plan, group, queries_GMD, keys_GCD, values_GCD, mixed_GMD, repeats, window)
    mixed = mixed_GMD[:, : count * repeats].view(groups, count, repeats, size)
    return mixed.transpose(0, 1).reshape(queries_MHD.shape)


# --------------------------------------------------------------------------- fast


def _attend_fast(
    plan: PrefixPlan,
    group: Group,
    queries_GMD: Tensor,
    keys_GCD: Tensor,
    values_GCD: Tensor,
    mixed_GMD: Tensor,
    repeats: int,
    window: int | None,
) -> None:
    rows = slice(group.row * repeats, (group.row + group.count) * repeats)
    sums_GM = queries_GMD.new_empty(mixed_GMD.shape[0], group.count * repeats, dtype=_wide(queries_GMD))
    for branch in group.branches:
        begin, end = branch.row * repeats, (branch.row + branch.count) * repeats
        mixed, sums = partial_attention(
            queries_GMD[:, begin:end],
            keys_GCD[:, branch.columns],
            values_GCD[:, branch.columns],
            plan.bias(branch, window, repeats, queries_GMD),
        )
        mixed_GMD[:, begin:end] = mixed
        sums_GM[:, begin - rows.start : end - rows.start] = sums
    if group.shared:
        bias = None if window is None else plan.bias(group, window, repeats, queries_GMD)
        mixed, sums = partial_attention(
            queries_GMD[:, rows],
            keys_GCD[:, group.common],
            values_GCD[:, group.common],
            bias,
            blind=bias is not None,
        )
        own = mixed_GMD[:, rows]
        weight = torch.sigmoid(sums - sums_GM)[..., None]
        # In fp32: rounded to bf16, the weights alone made errors half as large again.
        own.copy_(wide(own).lerp_(wide(mixed), weight.expand_as(mixed)))


def partial_attention(
    queries_GMD: Tensor, keys_GSD: Tensor, values_GSD: Tensor, bias_MS: Tensor | None, blind: bool = False
) -> tuple[Tensor, Tensor]:
    """Attention to a part of the keys [G, M, D], and the log of the summed weights [G, M] to put parts together by.

    The queries are scaled. `blind` says that some may see nothing, which the processor's flash attention cannot tell.
    """
    large = queries_GMD.shape[1] * keys_GSD.shape[1] >= LARGE
    if large and not blind and not has_amx() and can_pack(queries_GMD.device, queries_GMD.dtype):
        return _whole_products(queries_GMD, keys_GSD, values_GSD, bias_MS)
    if queries_GMD.device.type == "cpu" and not blind:
        mixed, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            queries_GMD[None],
            keys_GSD[None],
            values_GSD[None],
            attn_mask=None if bias_MS is None else bias_MS[None, None],
            scale=1.0,
        )
        return mixed[0], sums[0]
    scores = scores_of(queries_GMD, keys_GSD)
    if bias_MS is not None:
        scores += bias_MS
    sums = scores.logsumexp(-1)
    weights = (scores - sums.clamp(min=torch.finfo(sums.dtype).min)[..., None]).exp()
    return torch.bmm(weights.to(values_GSD.dtype), values_GSD), sums


def _whole_products(
    queries_GMD: Tensor, keys_GSD: Tensor, values_GSD: Tensor, bias_MS: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As `partial_attention`, head by head, so that the scores of one stay in a processor's cache; scores in fp32."""
    mixed_GMD = torch.empty_like(queries_GMD)
    sums_GM = queries_GMD.new_empty(queries_GMD.shape[:2], dtype=torch.float32)
    for queries, keys, values, mixed, sums in zip(
        queries_GMD.float(), keys_GSD.float(), values_GSD, mixed_GMD, sums_GM, strict=True
    ):
        weights_MS = product(queries, keys)
        if bias_MS is not None:
            weights_MS += bias_MS
        best_M1 = weights_MS.amax(-1, keepdim=True)
        weights_MS.sub_(best_M1).exp_()
        total_M1 = weights_MS.sum(-1, keepdim=True)
        mixed.copy_(product(weights_MS.to(values.dtype), values.T).div_(total_M1))
        torch.add(best_M1[:, 0], total_M1[:, 0].log(), out=sums)
    return mixed_GMD, sums_GM


# --------------------------------------------------------------------------- exact


def _attend_exact(
    plan: PrefixPlan,
    group: Group,
    queries_GMD: Tensor,
    keys_GCD: Tensor,
    values_GCD: Tensor,
    mixed_GMD: Tensor,
    repeats: int,
    window: int | None,
) -> None:
    first, count = group.row * repeats, group.count * repeats
    best_GM = queries_GMD.new_full((mixed_GMD.shape[0], count), -torch.inf, dtype=_wide(queries_GMD))
    shared_GMS = None
    if group.shared:
        shared_GMS = _scores(queries_GMD, first, count, keys_GCD[:, group.common])
        if window is not None:
            shared_GMS[:, :count] += plan.bias(group, window, repeats, best_GM)
        best_GM = shared_GMS[:, :count].amax(-1)
    own = []
    for branch in group.branches:
        here = slice(branch.row * repeats - first, (branch.row + branch.count) * repeats - first)
        scores = _scores(queries_GMD, first + here.start, here.stop - here.start, keys_GCD[:, branch.columns])
        seen = scores[:, : here.stop - here.start]
        seen += plan.bias(branch, window, repeats, best_GM)
        best_GM[:, here] = torch.maximum(best_GM[:, here], seen.amax(-1))
        own.append((here, scores, branch.columns))
    sums_GMD = best_GM.new_zeros(*best_GM.shape, mixed_GMD.shape[-1])
    total_GM = torch.zeros_like(best_GM)
    if shared_GMS is not None:
        _weigh(shared_GMS, best_GM)
        add_tiles(sums_GMD, total_GM, shared_GMS, values_GCD[:, group.common])
    for here, scores, columns in own:
        _weigh(scores, best_GM[:, here])
        add_tiles(sums_GMD[:, here], total_GM[:, here], scores, values_GCD[:, columns])
    mixed_GMD[:, first : first + count] = sums_GMD / total_GM[..., None]


def _scores(queries_GMD: Tensor, first: int, count: int, keys_GSD: Tensor) -> Tensor:
    """Scores in fp32 of `count` queries and as many more as fill a grain, [G, >= count, S]."""
    end = first + count + -count % grain_of(queries_GMD.shape[-1])
    return scores_of(queries_GMD[:, first:end], keys_GSD)


def _weigh(scores_GMS: Tensor, best_GM: Tensor) -> None:
    """``exp(score - best)`` in place; rows that only fill the grain become 0, so that nothing overflows."""
    count = best_GM.shape[1]
    scores_GMS[:, :count].sub_(best_GM[..., None]).exp_()
    scores_GMS[:, count:] = 0


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
