"""Root mean square norm (Zhang and Sennrich 2019, arXiv:1910.07467), alone and behind an addition.

Letters: N rows, W numbers of a row.
"""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

_FORWARD = {
    "x": "*T", "residual": "*T", "weight": "*T", "y": "*T", "total": "*T", "scale": "*fp32",
    "width": "i32", "x_stride": "i64", "residual_stride": "i64", "epsilon": "fp32",
}  # fmt: skip
_BACKWARD = {
    "by_y": "*T", "by_total": "*T", "total": "*T", "weight": "*T", "scale": "*fp32", "by_x": "*T",
    "by_weight": "*fp32", "rows": "i32", "width": "i32", "by_y_stride": "i64", "by_total_stride": "i64",
    "total_stride": "i64", "rows_each": "i32",
}  # fmt: skip
OP = Op(
    "rms_norm",
    (
        Signature(kernel="_forward", arguments=_FORWARD, constants=({"ADDS": True, "BLOCK": 4096},), warps=16),
        Signature(kernel="_backward", arguments=_BACKWARD, constants=({"ADDS": True, "BLOCK": 4096},), warps=16),
    ),
    largest=2**16,
    row_wise=True,
)


def rms_norm(x: Tensor, weight_W: Tensor, epsilon: float) -> Tensor:
    """``x / sqrt(mean(x^2) + epsilon) * weight`` over the last axis of x [..., W], in fp32 inside.

    It is of the dtype that x and the weight are promoted to: autocast gives bf16 to weights in fp32.
    """
    found: Tensor = OP.implementation(x).rms_norm(x, weight_W, epsilon)
    return found


def add_rms_norm(x: Tensor, residual: Tensor, weight_W: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """``s = x + residual``, in the dtype that both are promoted to; returns `rms_norm` of s, and s."""
    found: tuple[Tensor, Tensor] = OP.implementation(x).add_rms_norm(x, residual, weight_W, epsilon)
    return found
