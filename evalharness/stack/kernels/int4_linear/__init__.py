"""Product with weights in four bits: a quarter of the bytes of bf16 to read, and of memory.

Letters: K inputs, N outputs.
"""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.int4_linear.weights import Int4Weight, for_processor, quantize, room
from evalharness.stack.kernels.op import Op, Signature

__all__ = ["OP", "Int4Weight", "for_processor", "int4_linear", "quantize", "room"]

OP = Op(
    "int4_linear",
    (
        Signature(
            kernel="_forward",
            arguments={
                "x": "*T", "packed": "*u8", "scales_zeros": "*bf16", "bias": "*T", "y": "*T",
                "rows": "i32", "outputs": "i32", "inputs": "i32", "groups": "i32", "x_stride": "i64",
            },
            constants=({"BLOCK_M": 16, "BLOCK_N": 32, "GROUP": 64, "BIAS": True, "UPCAST": False},),
        ),
    ),
)  # fmt: skip


def int4_linear(x: Tensor, weight: Int4Weight, bias_N: Tensor | None = None) -> Tensor:
    """``y = x W^T + b`` for x [..., K], in the dtype of x with sums in fp32; for inference only."""
    found: Tensor = OP.implementation(x).int4_linear(x, weight, bias_N)
    return found
