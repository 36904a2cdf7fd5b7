"""By softmax, a look at the likeliest tokens where something cuts, and one search in cumulated probabilities.

Letters: K tokens in order of probability.
"""

from __future__ import annotations

import torch
from torch import Tensor

LIKELIEST = 1024
"""Cuts look at this many tokens first: sorting a vocabulary of 49,152 costs twenty times as much."""
ROWS_AT_ONCE = {"cpu": 16, "cuda": 128}
"""Probabilities of so many rows at a time stay in a processor's cache; a GPU wants to be filled."""


def sample(
    logits_RV: Tensor, points_R: Tensor, temperatures_R: Tensor, top_k_R: Tensor, top_p_R: Tensor, min_p_R: Tensor
) -> Tensor:
    given = (logits_RV, points_R, temperatures_R, top_k_R, top_p_R, min_p_R)
    warm = [row for row, temperature in enumerate(temperatures_R.tolist()) if temperature > 0]
    at_once = ROWS_AT_ONCE.get(logits_RV.device.type, ROWS_AT_ONCE["cpu"])
    if len(warm) == len(logits_RV) <= at_once:
        return _sample(*given)
    drawn_R = logits_RV.argmax(1)
    for begin in range(0, len(warm), at_once):
        here = warm[begin : begin + at_once]
        drawn_R[here] = _sample(*_rows(here, *given))
    return drawn_R


def _rows(rows: list[int], *given: Tensor) -> list[Tensor]:
    """Some rows of each tensor."""
    chosen = torch.tensor(rows, device=given[0].device)
    return [each.index_select(0, chosen) for each in given]


def _sample(
    logits_RV: Tensor, points_R: Tensor, temperatures_R: Tensor, top_k_R: Tensor, top_p_R: Tensor, min_p_R: Tensor
) -> Tensor:
    """As `sample`, of rows whose temperature is above 0."""
    probabilities_RV = (logits_RV.float() / temperatures_R[:, None]).softmax(-1)
    rules = zip(top_k_R.tolist(), top_p_R.tolist(), min_p_R.tolist(), strict=True)
    cut = [row for row, (k, p, share) in enumerate(rules) if k > 0 or p < 1 or share > 0]
    if not cut:
        return _at(probabilities_RV, points_R)
    if len(cut) == len(logits_RV):
        return _in_order(probabilities_RV, points_R, top_k_R, top_p_R, min_p_R)
    whole = sorted({*range(len(logits_RV))} - {*cut})
    drawn_R = torch.empty_like(top_k_R, dtype=torch.int64)
    drawn_R[whole] = _at(*_rows(whole, probabilities_RV, points_R))
    drawn_R[cut] = _in_order(*_rows(cut, probabilities_RV, points_R, top_k_R, top_p_R, min_p_R))
    return drawn_R


def _in_order(probabilities_RV: Tensor, points_R: Tensor, top_k_R: Tensor, top_p_R: Tensor, min_p_R: Tensor) -> Tensor:
    """What is drawn of rows that something cuts."""
    count = probabilities_RV.shape[1]
    most = min(LIKELIEST, count)
    if most < count and _surely_more(probabilities_RV, top_k_R, top_p_R, min_p_R, most):
        most = count
    weights_RK, ids_RK = ranked(probabilities_RV, top_k_R, top_p_R, min_p_R, most)
    drawn_R = ids_RK.gather(1, _at(weights_RK, points_R)[:, None])[:, 0]
    # Of some rows, tokens behind the likeliest may be kept too.
    ends = zip(weights_RK[:, -1].tolist(), top_k_R.tolist(), strict=True)
    longer = [row for row, (weight, k) in enumerate(ends) if weight > 0 and k != most < count]
    if longer:
        probabilities_RV, points_R, *cuts = _rows(longer, probabilities_RV, points_R, top_k_R, top_p_R, min_p_R)
        weights_RK, ids_RK = ranked(probabilities_RV, cuts[0], cuts[1], cuts[2], count)
        drawn_R[longer] = ids_RK.gather(1, _at(weights_RK, points_R)[:, None])[:, 0]
    return drawn_R


def _surely_more(probabilities_RV: Tensor, top_k_R: Tensor, top_p_R: Tensor, min_p_R: Tensor, most: int) -> bool:
    """Whether top-p alone cuts, and keeps more than the `most` likeliest tokens of every row.

    Their sum is at most ``most t + sum over v of max(p_v - t, 0)`` for any t, and is near it where t is about the
    smallest of them, as which it is taken from among every so many tokens.
    """
    if bool((top_k_R > 0).any()) or bool((min_p_R > 0).any()):
        return False
    apart = probabilities_RV.shape[1] // most
    least_R1 = probabilities_RV[:, ::apart].topk(most // apart + 1).values[:, -1:]
    reached_R = most * least_R1[:, 0] + (probabilities_RV - least_R1).clamp_(min=0).sum(-1)
    return bool((reached_R < top_p_R * (1 - 1e-4)).all())  # whatever is rounded


def ranked(
    probabilities_RV: Tensor, top_k_R: Tensor, top_p_R: Tensor, min_p_R: Tensor, most: int
) -> tuple[Tensor, Tensor]:
    """The `most` likeliest probabilities in falling order, zero where they are cut, and their ids, [R, K]."""
    count = probabilities_RV.shape[1]
    if most < count:
        ranked_RK, ids_RK = probabilities_RV.topk(most)
    else:
        ranked_RK, ids_RK = probabilities_RV.sort(descending=True, stable=True)
    top_k_R1, top_p_R1 = torch.where(top_k_R > 0, top_k_R, count)[:, None], top_p_R[:, None]
    kept_RK = torch.arange(ranked_RK.shape[1], device=ranked_RK.device) < top_k_R1
    weights_RK = ranked_RK.double() * kept_RK
    cumulated_RK = weights_RK.cumsum(-1)
    mass_R1 = torch.where(top_k_R1 < count, cumulated_RK[:, -1:], 1.0)
    # At 1 nothing is cut, however the sum is rounded.
    kept_RK &= (cumulated_RK - weights_RK < top_p_R1 * mass_R1) | (top_p_R1 >= 1)
    kept_RK &= ranked_RK >= min_p_R[:, None] * ranked_RK[:, :1]
    return ranked_RK * kept_RK, ids_RK


def _at(weights_RK: Tensor, points_R: Tensor) -> Tensor:
    """The column of each row in which its share `points_R` of the cumulated weights falls; never one of weight 0."""
    cumulated_RK = weights_RK.double().cumsum(-1)
    totals_R1 = cumulated_RK[:, -1:].contiguous()
    found_R1 = torch.searchsorted(cumulated_RK, points_R[:, None] * totals_R1, right=True)
    last_R1 = torch.searchsorted(cumulated_RK, totals_R1)
    return torch.minimum(found_R1, last_R1)[:, 0]
