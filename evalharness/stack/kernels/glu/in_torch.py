"""By torch's activations; the value between is rounded to the dtype."""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.layers.activations import ACTIVATIONS


def glu(gate_up: Tensor, activation: str) -> Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return ACTIVATIONS[activation](gate) * up
