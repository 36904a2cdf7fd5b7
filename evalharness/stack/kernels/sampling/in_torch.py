"""All rows at once, by one sort; the thresholds of the three cuts become one."""

from __future__ import annotations

import torch
from torch import Tensor


def sample(
    logits_RV: Tensor, points_R: Tensor, temperatures_R: Tensor, top_k_R: Tensor, top_p_R: Tensor, min_p_R: Tensor
) -> Tensor:
    wide_RV = logits_RV.float()
    likeliest_R = wide_RV.argmax(1)
    greedy_R = temperatures_R == 0
    weights_RV = (wide_RV / temperatures_R.where(~greedy_R, 1.0)[:, None]).softmax(1)
    ranked_RV = weights_RV.sort(descending=True, dim=1).values
    last_R = torch.where(top_k_R > 0, top_k_R, weights_RV.shape[1]).clamp(max=weights_RV.shape[1]) - 1
    kth_R1 = ranked_RV.gather(1, last_R[:, None].long())
    ranked_RV = ranked_RV.double() * (ranked_RV >= kth_R1)
    cumulated_RV = ranked_RV.cumsum(1)
    within_RV = cumulated_RV - ranked_RV < top_p_R[:, None] * cumulated_RV[:, -1:]
    # At 1 nothing is cut, however the sum is rounded; the likeliest never is.
    within_RV |= (top_p_R >= 1)[:, None]
    within_RV[:, :1] = True
    pth_R1 = ranked_RV.where(within_RV, 2.0).amin(1, keepdim=True)
    least_R1 = torch.maximum(torch.maximum(kth_R1, pth_R1), min_p_R[:, None] * ranked_RV[:, :1])
    cumulated_RV = (weights_RV.double() * (weights_RV >= least_R1)).cumsum(1)
    totals_R1 = cumulated_RV[:, -1:].contiguous()
    found_R1 = torch.searchsorted(cumulated_RV, points_R[:, None] * totals_R1, right=True)
    last_R1 = torch.searchsorted(cumulated_RV, totals_R1)
    return torch.where(greedy_R, likeliest_R, torch.minimum(found_R1, last_R1)[:, 0])
