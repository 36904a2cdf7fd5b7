"""Rows in chunks whose logits stay in a processor's cache, and few passes over them, in place."""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.kernels.linear_scoring import Scored
from evalharness.stack.kernels.linear_scoring.heads import Head, in_chunks
from evalharness.stack.layers.linear import ExactLinear


@torch.no_grad()
def linear_scoring(
    hidden_RW: Tensor, head: Head, targets_RK: Tensor, *, entropies: bool = False, exact: bool = False
) -> Scored:
    wide = torch.promote_types(hidden_RW.dtype, torch.float32)
    if exact and isinstance(head, Tensor):
        head = ExactLinear(head.to(wide), None)
    scores_RK = torch.empty(targets_RK.shape, dtype=wide, device=hidden_RW.device)
    greedy_RK = torch.empty(targets_RK.shape, dtype=torch.bool, device=hidden_RW.device)
    entropies_R = scores_RK.new_empty(len(hidden_RW)) if entropies else None
    for at, logits_CV in in_chunks(hidden_RW, head):
        likeliest_C1 = logits_CV.argmax(1, keepdim=True)
        greedy_RK[at] = likeliest_C1 == targets_RK[at]
        best_C1 = logits_CV.gather(1, likeliest_C1)
        own_CK = logits_CV.gather(1, targets_RK[at]) - best_C1
        # In place: what `logsumexp` makes beside the logits no longer fits the processor's cache.
        logits_CV -= best_C1
        if entropies_R is None:
            totals_C1 = logits_CV.exp_().sum(1, keepdim=True)
        else:
            softmax_CV = logits_CV.exp()
            totals_C1 = softmax_CV.sum(1, keepdim=True)
            # A token that cannot be has the logit -inf, and adds nothing: 0 times it would be no number.
            inner_C = softmax_CV.mul_(logits_CV.clamp_(min=torch.finfo(wide).min)).sum(1)
            entropies_R[at] = totals_C1.log()[:, 0] - inner_C / totals_C1[:, 0]
        scores_RK[at] = own_CK - totals_C1.log()
    return Scored(scores_RK, greedy_RK, entropies_R)
