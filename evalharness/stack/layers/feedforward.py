"""Feed-forward layers by name."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from evalharness.stack.kernels.glu import Activation, glu
from evalharness.stack.layers.activations import ACTIVATIONS
from evalharness.stack.layers.linear import SideBySide


class Shape(NamedTuple):
    """What a name of `FEED_FORWARDS` stands for."""

    activation: Activation
    """A name of `ACTIVATIONS`."""
    gated: bool


FEED_FORWARDS = {
    "relu": Shape("relu", gated=False),
    "gelu": Shape("gelu", gated=False),
    "gelu_tanh": Shape("gelu_tanh", gated=False),
    "swish": Shape("swish", gated=False),
    "reglu": Shape("relu", gated=True),
    "geglu": Shape("gelu", gated=True),
    "geglu_tanh": Shape("gelu_tanh", gated=True),
    "swiglu": Shape("swish", gated=True),
}
"""The gated ones are named by Shazeer 2020, arXiv:2002.05202; ``geglu_tanh`` is what Gemma calls GeGLU."""


class FeedForward(nn.Module):
    """``down(activation(up(x)))`` (Vaswani et al. 2017, arXiv:1706.03762, section 3.3)."""

    def __init__(self, width: int, inner: int, activation: Activation, *, bias: bool) -> None:
        super().__init__()
        self.up = nn.Linear(width, inner, bias=bias)
        self.down = nn.Linear(inner, width, bias=bias)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.between(self.up(x)))  # type: ignore[no-any-return]

    def between(self, inner: Tensor) -> Tensor:
        """What is done between the two products."""
        return self.activation(inner)


class GatedFeedForward(nn.Module):
    """``down(activation(gate(x)) * up(x))`` (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, width: int, inner: int, activation: Activation, *, bias: bool) -> None:
        super().__init__()
        self.gate_up = SideBySide(gate=nn.Linear(width, inner, bias=bias), up=nn.Linear(width, inner, bias=bias))
        self.down = nn.Linear(inner, width, bias=bias)
        self.activation: Activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.between(self.gate_up(x)))  # type: ignore[no-any-return]

    def between(self, inner: Tensor) -> Tensor:
        """What is done between the two products, of gates and behind them what they gate."""
        return glu(inner, self.activation)


def feed_forward(name: str, width: int, inner: int, *, bias: bool = False) -> nn.Module:
    """The layer that a name of `FEED_FORWARDS` stands for."""
    shape = FEED_FORWARDS[name]
    layer = GatedFeedForward if shape.gated else FeedForward
    return layer(width, inner, shape.activation, bias=bias)
