"""Feed-forward layers."""

from __future__ import annotations

from torch import Tensor, nn

from evalharness.stack.layers.activations import ACTIVATIONS
from evalharness.stack.layers.linear import SideBySide


class GatedFeedForward(nn.Module):
    """``down(activation(gate(x)) * up(x))``; with SiLU this is SwiGLU (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, width: int, inner: int, activation: str) -> None:
        super().__init__()
        self.gate_up = SideBySide(gate=nn.Linear(width, inner, bias=False), up=nn.Linear(width, inner, bias=False))
        self.down = nn.Linear(inner, width, bias=False)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(self.activation(gate) * up)  # type: ignore[no-any-return]
