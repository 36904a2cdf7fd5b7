"""Product with weights in eight bits: half the bytes of bf16 to read, which is what decoding one stream waits for.

Letters: K inputs, N outputs.
"""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.int8_linear.weights import Int8Weight, for_processor, quantize, room
from evalharness.stack.kernels.op import Op, Signature

__all__ = ["OP", "Int8Weight", "for_processor", "int8_linear", "quantize", "room"]

OP = Op(
    "int8_linear",
    (
        Signature(
            kernel="_forward",
            arguments={
                "x": "*T", "numbers": "*i8", "scales": "*bf16", "bias": "*T", "y": "*T",
                "rows": "i32", "outputs": "i32", "inputs": "i32", "x_stride": "i64", "numbers_stride": "i64",
            },
            constants=({"BLOCK_M": 16, "BLOCK_N": 32, "BLOCK_K": 128, "BIAS": True, "UPCAST": False},),
        ),
    ),
)  # fmt: skip


def int8_linear(x: Tensor, weight: Int8Weight, bias_N: Tensor | None = None) -> Tensor:
    """``y = x W^T + b`` for x [..., K], in the dtype of x with sums in fp32; for inference only."""
    found: Tensor = OP.implementation(x).int8_linear(x, weight, bias_N)
    return found
