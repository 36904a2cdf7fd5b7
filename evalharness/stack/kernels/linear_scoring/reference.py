"""The formulas as they stand, over the logits of all rows at once."""

from __future__ import annotations

import torch
from torch import Tensor

from evalharness.stack.kernels.linear_scoring import Scored


@torch.no_grad()
def linear_scoring(hidden_RW: Tensor, weight_VW: Tensor, targets_R: Tensor) -> Scored:
    wide = torch.promote_types(hidden_RW.dtype, torch.float32)
    logits_RV = hidden_RW.to(wide) @ weight_VW.to(wide).t()
    logs_RV = logits_RV.log_softmax(1)
    return Scored(
        logs_RV.gather(1, targets_R[:, None]).squeeze(1),
        logits_RV.argmax(1) == targets_R,
        -(logs_RV.exp() * logs_RV).nan_to_num(0.0).sum(1),
    )
