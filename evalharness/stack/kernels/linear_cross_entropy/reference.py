"""The formula as it stands, over the logits of all rows at once."""

from __future__ import annotations

import torch
from torch import Tensor


def linear_cross_entropy(
    hidden_NW: Tensor,
    weight_VW: Tensor,
    targets_N: Tensor,
    weights_N: Tensor,
    z_loss: float = 0.0,
    chunk: int | None = None,
    compiled: bool = False,
) -> tuple[Tensor, Tensor]:
    wide = torch.promote_types(hidden_NW.dtype, torch.float32)
    kept = weights_N != 0
    with torch.autocast(hidden_NW.device.type, enabled=False):
        logits_RV = hidden_NW[kept].to(wide) @ weight_VW.to(wide).t()
    norms_R = logits_RV.logsumexp(1)
    losses_R = norms_R - logits_RV.gather(1, targets_N[kept][:, None]).squeeze(1)
    weights_R = weights_N[kept].to(wide)
    total = (weights_R * (losses_R + z_loss * norms_R.square())).sum()
    return total, (weights_R * losses_R).sum().detach()
