"""Vocabulary projection and the scores of tokens in one, without ever holding the logits of all rows.

Letters: R rows, K targets of a row, W width, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from evalharness.stack.kernels.linear_scoring.heads import Head
from evalharness.stack.kernels.op import KINDS, Op, Signature

_TILE = {
    "hidden": "*T", "weight": "*T", "targets": "*i64", "most": "*fp32", "total": "*fp32", "inner": "*fp32",
    "likeliest": "*i32", "own": "*fp32", "rows": "i32", "vocabulary": "i32", "width": "i32", "count": "i32",
    "hidden_stride": "i64", "weight_stride": "i64",
}  # fmt: skip
_ROW = {
    "logits": "*fp32", "most": "*fp32", "norms": "*fp32", "entropies": "*fp32", "likeliest": "*i64",
    "vocabulary": "i32", "stride": "i64",
}  # fmt: skip


class Tile(NamedTuple):
    """Rows, tokens and inputs of a tile of the product, and how its program is launched."""

    rows: int
    tokens: int
    inputs: int
    warps: int
    stages: int


_WHOLE = (Tile(16, 128, 32, 4, 3), Tile(64, 128, 32, 8, 3), Tile(128, 128, 16, 8, 3))
TILES = {
    "sm_80": {
        "halves": (Tile(16, 128, 64, 4, 4), Tile(64, 128, 64, 4, 4), Tile(128, 256, 32, 8, 4)),
        "whole": _WHOLE,
    },
    "sm_90": {
        "halves": (Tile(16, 128, 64, 4, 4), Tile(64, 128, 64, 4, 4), Tile(128, 256, 64, 8, 4)),
        "whole": _WHOLE,
    },
    "gfx942": {
        "halves": (Tile(16, 128, 64, 4, 2), Tile(64, 128, 64, 4, 2), Tile(128, 256, 64, 8, 2)),
        "whole": (Tile(16, 128, 32, 4, 2), Tile(64, 128, 32, 8, 2), Tile(128, 128, 32, 8, 2)),
    },
}
"""By GPU and bytes of a number, for more and more rows. The largest are as large as sums and epilogue fit registers: a
tile's operands come from the level 2 cache at no more than 48 bytes a cycle and multiprocessor of an H100. On sm_80
they need at most 99 KB of shared memory, which is all that sm_86 and sm_89 have."""
GROUP = 16
"""Tiles of rows that follow one another at one tile of the weight: what runs at once is then about square."""


def _tile_signature(target: str, kind: str, tile: Tile) -> Signature:
    build = {"BLOCK_R": tile.rows, "BLOCK_V": tile.tokens, "BLOCK_W": tile.inputs, "GROUP": GROUP, "UPCAST": False}
    return Signature(
        kernel="_tile",
        arguments=_TILE,
        constants=tuple(build | {"EVEN": True, "ENTROPIES": wanted} for wanted in (False, True)),
        dtypes=KINDS[kind],
        warps=tile.warps,
        stages=tile.stages,
        targets=(target,),
    )


OP = Op(
    "linear_scoring",
    (
        *(_tile_signature(gpu, kind, tile) for gpu, kinds in TILES.items() for kind in kinds for tile in kinds[kind]),
        Signature(kernel="_row", arguments=_ROW, constants=({"BLOCK": 4096},), dtypes=("fp32",), warps=8),
    ),
    row_wise=True,
)


class Scored(NamedTuple):
    """Of the targets of each row, and of each row."""

    log_likelihoods_RK: Tensor
    """``l_y - logsumexp(l)``, in nats, at least fp32."""
    greedy_RK: Tensor
    """Whether the target is the likeliest token, of equals the first."""
    entropies_R: Tensor | None
    """``-sum_v p_v log p_v`` with ``p = softmax(l)``, in nats; None where they were not asked for."""


def linear_scoring(
    hidden_RW: Tensor, head: Head, targets_RK: Tensor, *, entropies: bool = False, exact: bool = False
) -> Scored:
    """How likely each row's targets are under the logits ``l = h W^T``, which are added up in at least fp32.

    Has no gradient.

    Args:
        hidden_RW: in the dtype that it was computed in. Of bf16 and fp16 nothing is lost where the weight is of the
            same: fp32 holds the product of two such numbers exactly.
        head: the weight, [V, W], or a layer that makes logits; see `Head`.
        exact: a row's bits depend on no other row. On a processor that needs a multiple of 8 rows.
    """
    found: Scored = OP.implementation(hidden_RW).linear_scoring(
        hidden_RW, head, targets_RK, entropies=entropies, exact=exact
    )
    return found
