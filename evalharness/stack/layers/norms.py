"""Normalisations by name. The third of the survey's table 6, DeepNorm, is a way to add: see `architectures.blocks`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from evalharness.stack.kernels.layer_norm import layer_norm
from evalharness.stack.kernels.rms_norm import add_rms_norm, rms_norm


class Norm(nn.Module):
    """What every norm has."""

    def of_sum(self, x: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
        """The norm of ``x + added``, and that sum."""
        total = x + added
        return self(total), total


class RMSNorm(Norm):
    """Root mean square norm over the last axis: ``x / sqrt(mean(x^2) + epsilon) * weight``, in fp32 inside.

    Zhang and Sennrich 2019, arXiv:1910.07467.
    """

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.epsilon)

    def of_sum(self, x: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
        return add_rms_norm(x, added, self.weight, self.epsilon)


class LayerNorm(Norm):
    """``(x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias`` over the last axis, in fp32 inside.

    Ba, Kiros and Hinton 2016, arXiv:1607.06450.
    """

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(x, self.weight, self.bias, self.epsilon)


NORMS: dict[str, Callable[[int, float], Norm]] = {"layer_norm": LayerNorm, "rms_norm": RMSNorm}
