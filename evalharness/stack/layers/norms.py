"""Normalisations by name. The third of the survey's table 6, DeepNorm, is a way to add: see `architectures.blocks`."""

from __future__ import annotations

from collections.abc import Callable

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


class LayerNorm(nn.Module):
    """``(x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias`` over the last axis, in fp32 inside.

    Ba, Kiros and Hinton 2016, arXiv:1607.06450.
    """

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.epsilon)


NORMS: dict[str, Callable[[int, float], nn.Module]] = {"layer_norm": LayerNorm, "rms_norm": RMSNorm}
