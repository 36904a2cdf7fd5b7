"""Rows in chunks whose logits stay in a processor's cache, and few passes over them, in place."""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.kernels.linear_scoring import Scored
from evalharness.stack.layers.linear import rows_times

LOGITS_AT_ONCE = {"cpu": 1 << 22, "cuda": 1 << 27}
"""Numbers of a chunk of logits at most: 16 MiB of fp32 stay in a processor's cache; a GPU wants to be filled."""


@torch.no_grad()
def linear_scoring(hidden_RW: Tensor, weight_VW: Tensor, targets_R: Tensor) -> Scored:
    wide = torch.promote_types(hidden_RW.dtype, torch.float32)
    hidden_RW, weight_VW = hidden_RW.to(wide), weight_VW.to(wide)
    rows = len(hidden_RW)
    scores_R, entropies_R = (hidden_RW.new_empty(rows) for _ in range(2))
    greedy_R = torch.empty(rows, dtype=torch.bool, device=hidden_RW.device)
    at_once = max(1, LOGITS_AT_ONCE.get(hidden_RW.device.type, LOGITS_AT_ONCE["cpu"]) // len(weight_VW))
    for begin in range(0, rows, at_once):
        at = slice(begin, begin + at_once)
        logits_CV = rows_times(hidden_RW[at], weight_VW)
        targets_C1 = targets_R[at, None]
        likeliest_C1 = logits_CV.argmax(1, keepdim=True)
        greedy_R[at] = (likeliest_C1 == targets_C1)[:, 0]
        logits_CV -= logits_CV.gather(1, likeliest_C1)
        own_C = logits_CV.gather(1, targets_C1)[:, 0]
        softmax_CV = logits_CV.exp()
        totals_C = softmax_CV.sum(1)
        norms_C = totals_C.log()
        scores_R[at] = own_C - norms_C
        # A token that cannot be has the logit -inf, and adds nothing: 0 times it would be no number.
        inner_C = softmax_CV.mul_(logits_CV.clamp_(min=torch.finfo(wide).min)).sum(1)
        entropies_R[at] = norms_C - inner_C / totals_C
    return Scored(scores_R, greedy_R, entropies_R)
