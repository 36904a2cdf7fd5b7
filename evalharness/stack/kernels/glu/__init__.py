"""Gated linear units (Shazeer 2020, arXiv:2002.05202): SwiGLU, GeGLU, ReGLU. Letters: N rows, W inner width."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

Activation = Literal["swish", "gelu", "gelu_tanh", "relu"]
"""Names of `layers.activations`."""

_BUILDS = tuple({"ACTIVATION": name, "BLOCK": 1024} for name in ("swish", "gelu", "gelu_tanh", "relu"))
_FORWARD = {"gate_up": "*T", "y": "*T", "width": "i32", "stride": "i64"}
_BACKWARD = {
    "by_y": "*T", "gate_up": "*T", "by_gate_up": "*T", "width": "i32", "by_y_stride": "i64", "stride": "i64",
}  # fmt: skip
OP = Op(
    "glu",
    (
        Signature(kernel="_forward", arguments=_FORWARD, constants=_BUILDS),
        Signature(kernel="_backward", arguments=_BACKWARD, constants=_BUILDS),
    ),
    row_wise=True,
)


def glu(gate_up: Tensor, activation: Activation) -> Tensor:
    """``activation(gate) * up`` of shape [..., W], where [..., 2W] holds the gates and behind them the others.

    SwiGLU with swish, ``x sigmoid(x)``; GeGLU with gelu, ``x Phi(x)``, or gelu_tanh, which is near it; ReGLU with relu.
    """
    found: Tensor = OP.implementation(gate_up).glu(gate_up, activation)
    return found
