"""Product whose rows have the same bits whatever rows are computed beside them: what `exact` asks of every product.

Letters: M rows, K inputs, N outputs.
"""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

TILES = {
    "fp32": {"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32},
    "bf16": {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 64},
    "fp16": {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 64},
}
"""By the numbers of x, and by nothing else: few rows and many take the same tiles."""
WARPS, STAGES = 4, 3

_ARGUMENTS = {
    "x": "*T", "weight": "*T", "bias": "*T", "y": "*T", "rows": "i32", "outputs": "i32", "inputs": "i32",
}  # fmt: skip
_UNDER_WIDE = {**_ARGUMENTS, "x": "*fp32", "bias": "*fp32", "y": "*fp32"}


def _signature(arguments: dict[str, str], tiles: str, *dtypes: str) -> Signature:
    constants = {**TILES[tiles], "BIAS": True, "UPCAST": False}
    return Signature(
        kernel="_forward", arguments=arguments, constants=(constants,), dtypes=dtypes, warps=WARPS, stages=STAGES
    )


OP = Op(
    "exact_linear",
    (
        _signature(_ARGUMENTS, "fp32", "fp32"),
        _signature(_ARGUMENTS, "bf16", "bf16", "fp16"),
        _signature(_UNDER_WIDE, "fp32", "bf16", "fp16"),
    ),
    row_wise=True,
)


def exact_linear(x: Tensor, weight_NK: Tensor, bias_N: Tensor | None = None) -> Tensor:
    """``y = x W^T + b`` for x [..., K], in the dtype of x with sums in fp32; a row of y depends on that row of x alone.

    The weight may be of narrower numbers than x, whose product has then the bits of one with a widened weight. For
    inference only. In torch the promise holds on a processor; on a GPU it is Triton's, which `exactly` sees to.
    """
    found: Tensor = OP.implementation(x).exact_linear(x, weight_NK, bias_N)
    return found
