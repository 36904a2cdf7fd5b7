"""Product with weights in eight bits: half the bytes of bf16 to read, which is what decoding one stream waits for.

Letters: K inputs, N outputs.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from evalharness.stack.kernels.int8_linear.weights import Int8Weight, for_processor, quantize, room
from evalharness.stack.kernels.op import KINDS, Op, Signature

__all__ = ["OP", "Int8Weight", "for_processor", "int8_linear", "quantize", "room"]


class Tile(NamedTuple):
    """Rows, outputs and inputs of a tile of the product, and how its program is launched."""

    rows: int
    outputs: int
    inputs: int
    warps: int
    stages: int
    slices: int = 0
    """Blocks of inputs that are multiplied side by side; none by the kernel for many rows."""

    def constants(self) -> dict[str, int]:
        """What the kernels are told of it."""
        sizes = {"BLOCK_M": self.rows, "BLOCK_N": self.outputs, "BLOCK_K": self.inputs}
        return sizes | ({"SLICES": self.slices} if self.slices else {})


TILES = {
    "sm_80": {
        "halves": (Tile(16, 32, 64, 8, 4, 8), Tile(64, 64, 64, 4, 3), Tile(128, 128, 32, 8, 3)),
        "whole": (Tile(16, 32, 16, 4, 4, 4), Tile(64, 64, 16, 4, 3)),
    },
    "sm_90": {
        "halves": (Tile(16, 32, 64, 8, 4, 8), Tile(64, 64, 64, 4, 3), Tile(128, 128, 64, 8, 3)),
        "whole": (Tile(16, 32, 16, 4, 4, 4), Tile(64, 64, 16, 4, 3)),
    },
    "gfx942": {
        "halves": (Tile(16, 32, 64, 4, 2, 4), Tile(64, 64, 64, 4, 2), Tile(128, 128, 64, 8, 2)),
        "whole": (Tile(16, 32, 16, 4, 2, 4), Tile(64, 64, 32, 4, 2)),
    },
}
"""By GPU and bytes of a number of x, for more and more rows."""
_ARGUMENTS = {
    "x": "*T", "numbers": "*i8", "scales": "*bf16", "bias": "*T", "y": "*T", "rows": "i32", "outputs": "i32",
    "inputs": "i32", "x_stride": "i64", "numbers_stride": "i64",
}  # fmt: skip


def _signature(target: str, kind: str, tile: Tile) -> Signature:
    return Signature(
        kernel="_few" if tile.slices else "_many",
        arguments=_ARGUMENTS,
        constants=({**tile.constants(), "EVEN": True, "BIAS": True, "UPCAST": False},),
        dtypes=KINDS[kind],
        warps=tile.warps,
        stages=tile.stages,
        targets=(target,),
    )


OP = Op(
    "int8_linear",
    tuple(_signature(target, kind, tile) for target, kinds in TILES.items() for kind in kinds for tile in kinds[kind]),
)


def int8_linear(x: Tensor, weight: Int8Weight, bias_N: Tensor | None = None) -> Tensor:
    """``y = x W^T + b`` for x [..., K], in the dtype of x with sums in fp32; for inference only."""
    found: Tensor = OP.implementation(x).int8_linear(x, weight, bias_N)
    return found
