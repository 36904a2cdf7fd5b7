"""By the definitions, row by row, in float64; equally likely tokens come by their ids."""

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
    kept_K, ids_K = kept(logits_V, temperature, int(top_k), top_p, min_p)
    cumulated_K = kept_K.cumsum(0)
    found = int((cumulated_K <= point * cumulated_K[-1]).sum())
    return int(ids_K[min(found, int(kept_K.nonzero()[-1]))])


def kept(logits_V: Tensor, temperature: float, top_k: int, top_p: float, min_p: float) -> tuple[Tensor, Tensor]:
    """Probabilities and ids of the K tokens that are kept, as they cumulate; those do not add up to 1."""
    probabilities_V = (logits_V / temperature).softmax(0)
    if top_k == 0 and top_p >= 1 and min_p == 0:
        return probabilities_V, torch.arange(len(probabilities_V), device=probabilities_V.device)
    ranked_K, ids_K = probabilities_V.sort(descending=True, stable=True)
    ranked_K = ranked_K[: top_k or None]
    kept_K = ranked_K >= min_p * ranked_K[0]
    if top_p < 1:
        kept_K &= ranked_K.cumsum(0) - ranked_K < top_p * ranked_K.sum()
    count = max(1, int(kept_K.sum()))
    return ranked_K[:count], ids_K[:count]
