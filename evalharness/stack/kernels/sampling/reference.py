"""By the definitions, row by row, in float64."""

from __future__ import annotations

import torch
from torch import Tensor


def sample(
    logits_RV: Tensor, points_R: Tensor, temperatures_R: Tensor, top_k_R: Tensor, top_p_R: Tensor, min_p_R: Tensor
) -> Tensor:
    rows = zip(logits_RV.double(), points_R, temperatures_R, top_k_R, top_p_R, min_p_R, strict=True)
    drawn = [_row(row_V, *(float(value) for value in values)) for row_V, *values in rows]
    return torch.tensor(drawn, dtype=torch.int64, device=logits_RV.device)


def _row(logits_V: Tensor, point: float, temperature: float, top_k: float, top_p: float, min_p: float) -> int:
    if temperature == 0:
        return int(logits_V.argmax())
    kept = kept_probabilities(logits_V, temperature, int(top_k), top_p, min_p)
    cumulated_V = kept.cumsum(0)
    found = int((cumulated_V <= point * cumulated_V[-1]).sum())
    return min(found, int(kept.nonzero()[-1]))


def kept_probabilities(logits_V: Tensor, temperature: float, top_k: int, top_p: float, min_p: float) -> Tensor:
    """Probabilities of a row, 0 where they are cut; they do not add up to 1."""
    weights_V = (logits_V / temperature).softmax(0)
    kept_V = weights_V >= min_p * weights_V.max()
    if 0 < top_k < len(weights_V):
        weights_V = weights_V * (weights_V >= weights_V.topk(top_k).values[-1])
    if top_p < 1:
        ranked_V = weights_V.sort(descending=True).values
        before_V = ranked_V.cumsum(0) - ranked_V
        reached = max(1, int((before_V < top_p * ranked_V.sum()).sum()))
        kept_V &= weights_V >= ranked_V[reached - 1]
    return weights_V * kept_V
