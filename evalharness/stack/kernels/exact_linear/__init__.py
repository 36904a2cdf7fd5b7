"""Product whose rows have the same bits whatever rows are computed beside them: what `exact` asks of every product.

Letters: M rows, K inputs, N outputs.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from evalharness.stack.kernels.op import KINDS, Op, Signature


class Tile(NamedTuple):
    """Rows, outputs and inputs of a tile, and how its program is launched."""

    rows: int
    outputs: int
    inputs: int
    warps: int
    stages: int

    def constants(self) -> dict[str, int]:
        """What the kernel is told of it."""
        return {"BLOCK_M": self.rows, "BLOCK_N": self.outputs, "BLOCK_K": self.inputs, "GROUP": GROUP}


_WHOLE = Tile(32, 64, 32, 4, 4)
TILES = {
    "sm_80": {"halves": Tile(128, 128, 64, 8, 4), "whole": _WHOLE},
    "sm_90": {"halves": Tile(128, 128, 64, 8, 4), "whole": _WHOLE},
    "gfx942": {"halves": Tile(128, 128, 64, 8, 2), "whole": Tile(32, 64, 32, 4, 2)},
}
"""By GPU and bytes of a number of x, and by nothing else: few rows and many take the same tiles.

One row waits for the weight. Of it, outputs times stages times inputs of a tile are on their way, however wide tiles
are; only as many rows are read as there are. Many rows wait for the level 2 cache, so that large tiles suit both. In
fp32 a tile's multiplications of one row take as long as its weight takes to come, so it has 32 rows.
"""
GROUP = 8
"""Tiles of rows that follow one another at one tile of the weight."""
_ARGUMENTS = {
    "x": "*T", "weight": "*T", "bias": "*T", "y": "*T", "rows": "i32", "outputs": "i32", "inputs": "i32",
}  # fmt: skip
_UNDER_WIDE = {**_ARGUMENTS, "x": "*fp32", "bias": "*fp32", "y": "*fp32"}


def _signature(target: str, kind: str, arguments: dict[str, str], *dtypes: str) -> Signature:
    tile = TILES[target][kind]
    build = {**tile.constants(), "EVEN": True, "UPCAST": False}
    return Signature(
        kernel="_forward",
        arguments=arguments,
        constants=({**build, "BIAS": True}, {**build, "BIAS": False}),
        dtypes=dtypes,
        warps=tile.warps,
        stages=tile.stages,
        targets=(target,),
    )


OP = Op(
    "exact_linear",
    (
        *(_signature(target, kind, _ARGUMENTS, *KINDS[kind]) for target, kinds in TILES.items() for kind in kinds),
        *(_signature(target, "whole", _UNDER_WIDE, *KINDS["halves"]) for target in TILES),
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
