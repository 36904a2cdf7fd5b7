"""The recurrence as it is written, token by token."""

from __future__ import annotations

import torch
from torch import Tensor


def selective_scan(
    x_BTE: Tensor, delta_BTE: Tensor, A_EN: Tensor, B_BTN: Tensor, C_BTN: Tensor, state_BEN: Tensor
) -> tuple[Tensor, Tensor]:
    wide = state_BEN.dtype
    return by_token(x_BTE.to(wide), delta_BTE, A_EN, B_BTN.to(wide), C_BTN.to(wide), state_BEN)


def by_token(
    x_BTE: Tensor, delta_BTE: Tensor, A_EN: Tensor, B_BTN: Tensor, C_BTN: Tensor, state_BEN: Tensor
) -> tuple[Tensor, Tensor]:
    """`selective_scan` of one dtype."""
    scaled_BTE = delta_BTE * x_BTE
    outputs = []
    for token in range(x_BTE.shape[1]):
        decay_BEN = torch.exp(delta_BTE[:, token, :, None] * A_EN)  # (4)
        taken_BEN = B_BTN[:, token, None, :] * scaled_BTE[:, token, :, None]  # B̄ x, with B̄ = Δ B
        state_BEN = decay_BEN * state_BEN + taken_BEN  # (2a)
        outputs.append((state_BEN @ C_BTN[:, token, :, None])[..., 0])  # (2b)
    return torch.stack(outputs, dim=1), state_BEN
