"""The formulas as they stand, over the logits of all rows at once."""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.kernels.linear_scoring import Scored
from evalharness.stack.kernels.linear_scoring.heads import Head, projection


@torch.no_grad()
def linear_scoring(
    hidden_RW: Tensor, head: Head, targets_RK: Tensor, *, entropies: bool = False, exact: bool = False
) -> Scored:
    wide = torch.promote_types(hidden_RW.dtype, torch.float32)
    project, _ = projection(head, wide)
    logits_RV = project(hidden_RW.to(wide))
    logs_RV = logits_RV.log_softmax(1)
    return Scored(
        logs_RV.gather(1, targets_RK),
        logits_RV.argmax(1, keepdim=True) == targets_RK,
        -(logs_RV.exp() * logs_RV).nan_to_num(0.0).sum(1) if entropies else None,
    )
