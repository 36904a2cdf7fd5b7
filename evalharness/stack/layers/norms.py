"""Normalisations."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Root mean square norm over the last axis: ``x / sqrt(mean(x^2) + epsilon) * weight``, in fp32 inside.

    Zhang and Sennrich 2019, arXiv:1910.07467.
    """

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        normed = nn.functional.rms_norm(x.float(), x.shape[-1:], eps=self.epsilon)
        return normed.to(x.dtype) * self.weight
