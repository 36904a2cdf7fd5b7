"""Layer norm (Ba, Kiros and Hinton 2016, arXiv:1607.06450). Letters: N rows, W numbers of a row."""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

_FORWARD = {
    "x": "*T", "weight": "*T", "bias": "*T", "y": "*T", "mean": "*fp32", "scale": "*fp32", "width": "i32",
    "x_stride": "i64", "epsilon": "fp32",
}  # fmt: skip
_BACKWARD = {
    "by_y": "*T", "x": "*T", "weight": "*T", "mean": "*fp32", "scale": "*fp32", "by_x": "*T", "by_weight": "*fp32",
    "by_bias": "*fp32", "rows": "i32", "width": "i32", "by_y_stride": "i64", "x_stride": "i64", "rows_each": "i32",
}  # fmt: skip
OP = Op(
    "layer_norm",
    (
        Signature(kernel="_forward", arguments=_FORWARD, constants=({"BIASED": True, "BLOCK": 4096},), warps=16),
        Signature(kernel="_backward", arguments=_BACKWARD, constants=({"BLOCK": 4096},), warps=16),
    ),
    largest=2**15,
    row_wise=True,
)


def layer_norm(x: Tensor, weight_W: Tensor, bias_W: Tensor | None, epsilon: float) -> Tensor:
    """``(x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias`` over the last axis of x, in fp32 inside."""
    found: Tensor = OP.implementation(x).layer_norm(x, weight_W, bias_W, epsilon)
    return found
