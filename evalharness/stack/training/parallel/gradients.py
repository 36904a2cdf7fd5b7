"""The norm of gradients that lie in parts in several processes, and what they are clipped to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributed

from evalharness.stack.training.parallel.parts import Part

SMALL = 1e-6
"""Added to the norm that is divided by, as torch does."""


@torch.no_grad()
def clip_parts(parts: Sequence[Part], most: float, device: torch.device) -> Tensor:
    """The norm of all gradients of all processes, which are then scaled down to the norm `most` where it is greater.

    Every number counts once, however many processes have it. All processes call this at once.
    """
    square = torch.zeros((), device=device)
    gradients = [(part, part.own.grad) for part in parts if part.own.grad is not None]
    for part, gradient in gradients:
        square += gradient.float().square().sum() / part.copies
    distributed.all_reduce(square)
    norm = square.sqrt()
    factor = (most / (norm + SMALL)).clamp(max=1.0)
    for _, gradient in gradients:
        gradient.mul_(factor)
    return norm
