"""Weights that the training of a Mamba begins with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from evalharness.stack.architectures.mamba import Mamba

STEPS = (1e-3, 1e-1)
"""Between which the step lengths begin (section 3.6)."""
SHORTEST = 1e-4


def initialize_mamba(model: Mamba, seed: int, deviation: float = 0.02) -> None:
    """Give a model its first weights, as section 3.6 and the published code have them.

    A begins as ``-(1, 2, ..., N)`` in every channel (S4D-Real), D as 1. The step lengths begin between `STEPS`,
    uniform in their logarithm, as the bias is what softplus makes these of; their matrix is uniform within
    ``R^(-1/2)``. The embedding is normal with `deviation`, norms are 1, and all else is uniform within
    ``inputs^(-1/2)``, as torch's layers are; what a block adds to the stream is smaller by ``sqrt(layers)``. Numbers
    are drawn on the CPU, in the order of the names.
    """
    random = torch.Generator().manual_seed(seed)

    def uniform(shape: torch.Size, least: float, most: float) -> Tensor:
        return torch.rand(shape, generator=random) * (most - least) + least

    for name, parameter in sorted(model.named_parameters()):
        shape, part = parameter.shape, name.split(".")[-2 if "." in name else 0]
        if name.endswith("A_log"):
            first = torch.arange(1.0, shape[1] + 1).log().expand(shape)
        elif name.endswith(".D") or part.endswith("norm"):
            first = torch.ones(shape)
        elif name.endswith("dt_proj.bias"):
            steps = uniform(shape, *map(math.log, STEPS)).exp().clamp(min=SHORTEST)
            first = steps + torch.log(-torch.expm1(-steps))  # softplus backwards
        elif part == "embedding" or part == "head":
            first = torch.randn(shape, generator=random) * deviation
        else:
            inputs = _inputs(model, name)
            first = uniform(shape, -(inputs**-0.5), inputs**-0.5)
            if part == "out_proj":
                first = first / model.config.layers**0.5
        parameter.data.copy_(first)


def _inputs(model: Mamba, name: str) -> int:
    """Numbers that an output of the layer of a matrix or bias is computed of."""
    weight = model.get_parameter(f"{name.rpartition('.')[0]}.weight")
    return math.prod(weight.shape[1:])
