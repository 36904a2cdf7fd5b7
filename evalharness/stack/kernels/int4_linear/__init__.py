"""Product with weights in four bits: a quarter of the bytes of bf16 to read, and of memory.

Letters: K inputs, N outputs.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from evalharness.stack.kernels.int4_linear.weights import Int4Weight, for_processor, quantize, room
from evalharness.stack.kernels.op import KINDS, Op, Signature

__all__ = ["OP", "Int4Weight", "for_processor", "int4_linear", "quantize", "room"]


class Tile(NamedTuple):
    """Rows and outputs of a tile of the product, and how its program is launched."""

    rows: int
    outputs: int
    bytes: int
    """Of a row of the weight that are read at once."""
    warps: int
    stages: int
    slices: int = 0
    """Parts of a row of the weight that are multiplied side by side; none by the kernel for many rows."""

    def constants(self, group: int) -> dict[str, int]:
        """What the kernels are told of it and of the size of groups."""
        at_once = min(self.bytes, group // 2)
        sizes = {"BLOCK_M": self.rows, "BLOCK_N": self.outputs, "BLOCK_B": at_once, "GROUP": group}
        return sizes | ({"SLICES": self.slices} if self.slices else {})


TILES = {
    "sm_80": {
        "halves": (Tile(16, 32, 32, 8, 3, 8), Tile(64, 64, 32, 4, 3), Tile(128, 128, 32, 8, 3)),
        "whole": (Tile(16, 32, 32, 4, 3), Tile(64, 64, 8, 4, 3)),
    },
    "sm_90": {
        "halves": (Tile(16, 32, 32, 8, 4, 8), Tile(64, 64, 32, 4, 3), Tile(128, 128, 32, 8, 3)),
        "whole": (Tile(16, 32, 32, 4, 3), Tile(64, 64, 8, 4, 3)),
    },
    "gfx942": {
        "halves": (Tile(16, 32, 32, 4, 2, 4), Tile(64, 64, 32, 4, 2), Tile(128, 128, 32, 8, 2)),
        "whole": (Tile(16, 32, 32, 4, 2), Tile(64, 64, 16, 4, 2)),
    },
}
"""By GPU and bytes of a number of x, for more and more rows."""
_ARGUMENTS = {
    "x": "*T", "packed": "*i32", "scales_zeros": "*i32", "bias": "*T", "y": "*T", "rows": "i32", "outputs": "i32",
    "inputs": "i32", "parts": "i32", "x_stride": "i64",
}  # fmt: skip


def _signature(target: str, kind: str, tile: Tile) -> Signature:
    return Signature(
        kernel="_few" if tile.slices else "_many",
        arguments=_ARGUMENTS,
        constants=({**tile.constants(64), "EVEN": True, "BIAS": True, "UPCAST": False},),
        dtypes=KINDS[kind],
        warps=tile.warps,
        stages=tile.stages,
        targets=(target,),
    )


# Of `_many` first, which takes all numbers.
OP = Op(
    "int4_linear",
    tuple(
        _signature(target, kind, tile)
        for kind in ("whole", "halves")
        for target, kinds in TILES.items()
        for tile in reversed(kinds[kind])
    ),
)


def int4_linear(x: Tensor, weight: Int4Weight, bias_N: Tensor | None = None) -> Tensor:
    """``y = x W^T + b`` for x [..., K], in the dtype of x with sums in fp32; for inference only."""
    found: Tensor = OP.implementation(x).int4_linear(x, weight, bias_N)
    return found
