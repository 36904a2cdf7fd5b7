"""The formulas as they stand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


@torch.no_grad()
def adamw(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    means: Sequence[Tensor],
    squares: Sequence[Tensor],
    *,
    step: int,
    rate: float,
    betas: tuple[float, float],
    epsilon: float,
    decay: float,
) -> None:
    for given in zip(parameters, gradients, means, squares, strict=True):
        p, g, m, v = (part.to(torch.promote_types(part.dtype, torch.float32)) for part in given)
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        p = (1 - rate * decay) * p
        p = p - rate * (m / (1 - betas[0] ** step)) / ((v / (1 - betas[1] ** step)).sqrt() + epsilon)
        for part, changed in zip((given[0], given[2], given[3]), (p, m, v), strict=True):
            part.copy_(changed)
