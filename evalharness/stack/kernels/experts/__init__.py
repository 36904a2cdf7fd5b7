"""Mixtures of experts: which tokens pass through which, and the products of all experts in one.

A token of scores r passes through the K experts of largest r, and its outputs are added up with the weights
``softmax(r)`` over these K (Shazeer et al. 2017, arXiv:1701.06538; Mixtral, Jiang et al. 2024, arXiv:2401.04088,
section 2.1). Passes are sorted by expert, and of one expert by token, so that each expert's are consecutive rows;
grouped products over such rows are those of MegaBlocks (Gale et al. 2022, arXiv:2211.15841).
Letters: T tokens, E experts, K experts of a token, P = T K passes, W width, I inputs, O outputs of a matrix, S matrices
side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from evalharness.stack.kernels.op import KINDS, Op, Signature

_COUNTS = {"counts": "*i64", "experts": "i32", "sides": "i32", "inputs": "i32", "outputs": "i32"}
_CHOOSE = {
    "scores": "*T", "weights": "*fp32", "chosen": "*i64", "ranks": "*i64", "counts": "*i64", "tokens": "i32",
    "experts": "i32", "stride": "i64",
}  # fmt: skip
_UNCHOOSE = {
    "by_weights": "*fp32", "weights": "*fp32", "chosen": "*i64", "by_scores": "*T", "tokens": "i32", "experts": "i32",
}  # fmt: skip
_MIX = {"passed": "*T", "places": "*i64", "weights": "*fp32", "mixed": "*T", "width": "i32", "stride": "i64"}
_UNMIX = {
    "by_mixed": "*T", "passed": "*T", "places": "*i64", "weights": "*fp32", "by_passed": "*T", "by_weights": "*fp32",
    "width": "i32", "by_mixed_stride": "i64", "stride": "i64",
}  # fmt: skip
_PRODUCT = {"x": "*T", "addresses": "*i64", "biases": "*i64", "like": "*T", "y": "*T", **_COUNTS, "stride": "i64"}
_BY_X = {"by_y": "*T", "addresses": "*i64", "like": "*T", "by_x": "*T", **_COUNTS, "stride": "i64"}
_BY_WEIGHT = {
    "by_y": "*T", "x": "*T", "by_weights": "*T", "by_biases": "*T", **_COUNTS, "by_y_stride": "i64", "stride": "i64",
}  # fmt: skip


class Tile(NamedTuple):
    """Rows, outputs and inputs of a tile of a product, and how its program is launched."""

    rows: int
    outputs: int
    inputs: int
    warps: int
    stages: int

    def constants(self) -> dict[str, int]:
        """What the kernels are told of it."""
        return {"BLOCK_P": self.rows, "BLOCK_O": self.outputs, "BLOCK_I": self.inputs}


class Tiles(NamedTuple):
    """Of a GPU and a kind of numbers; one size, however many rows an expert has."""

    product: Tile
    by_x: Tile
    by_weight: Tile


_WHOLE = Tiles(Tile(32, 64, 32, 4, 2), Tile(32, 32, 64, 4, 3), Tile(16, 64, 64, 4, 3))
TILES = {
    "sm_80": {
        "halves": Tiles(Tile(128, 128, 32, 8, 4), Tile(128, 32, 128, 8, 4), Tile(32, 128, 128, 8, 3)),
        "whole": _WHOLE,
    },
    "sm_90": {
        "halves": Tiles(Tile(128, 128, 64, 8, 3), Tile(128, 64, 128, 8, 3), Tile(64, 128, 128, 8, 3)),
        "whole": _WHOLE,
    },
    "gfx942": {
        "halves": Tiles(Tile(128, 128, 64, 8, 2), Tile(128, 64, 128, 8, 2), Tile(32, 128, 128, 8, 2)),
        "whole": Tiles(Tile(32, 64, 32, 4, 2), Tile(32, 32, 64, 4, 2), Tile(32, 64, 64, 4, 2)),
    },
}


def _signature(
    kernel: str, arguments: dict[str, str], tile: Tile, target: str, dtypes: tuple[str, ...], *, bias: bool
) -> Signature:
    return Signature(
        kernel=kernel,
        arguments=arguments,
        constants=({"BLOCK_E": 8, **tile.constants(), "BIAS": bias, "UPCAST": False},),
        dtypes=dtypes,
        warps=tile.warps,
        stages=tile.stages,
        targets=(target,),
    )


def _products() -> Iterator[Signature]:
    for target, kinds in TILES.items():
        for kind, tiles in kinds.items():
            dtypes = KINDS[kind]
            yield _signature("_product", _PRODUCT, tiles.product, target, dtypes, bias=True)
            yield _signature("_by_x", _BY_X, tiles.by_x, target, dtypes, bias=False)
            yield _signature("_by_weight", _BY_WEIGHT, tiles.by_weight, target, dtypes, bias=True)
            if kind == "halves":  # in mixed precision weights are wide
                wide, wides = {"like": "*fp32"}, {"by_weights": "*fp32", "by_biases": "*fp32"}
                yield _signature("_product", _PRODUCT | wide, tiles.product, target, dtypes, bias=True)
                yield _signature("_by_x", _BY_X | wide, tiles.by_x, target, dtypes, bias=False)
                yield _signature("_by_weight", _BY_WEIGHT | wides, tiles.by_weight, target, dtypes, bias=True)


OP = Op(
    "experts",
    (
        Signature(
            kernel="_choose", arguments=_CHOOSE,
            constants=({"BLOCK_T": 32, "BLOCK_E": 8, "PER_TOKEN": 2, "BLOCK_K": 2},),
        ),
        Signature(
            kernel="_place", arguments={"chosen": "*i64", "starts": "*i64", "places": "*i64", "tokens_of": "*i64",
                                        "tokens": "i32", "experts": "i32"},
            constants=({"BLOCK_T": 32, "PER_TOKEN": 2, "BLOCK_K": 2},), dtypes=KINDS["whole"],
        ),
        Signature(
            kernel="_unchoose", arguments=_UNCHOOSE,
            constants=({"BLOCK_T": 32, "BLOCK_E": 8, "PER_TOKEN": 2, "BLOCK_K": 2},),
        ),
        Signature(kernel="_mix", arguments=_MIX, constants=({"PER_TOKEN": 2, "WEIGHTED": True, "BLOCK": 1024},)),
        Signature(
            kernel="_mix", arguments=_MIX | {"weights": "*T"},
            constants=({"PER_TOKEN": 2, "WEIGHTED": False, "BLOCK": 512},),
        ),
        Signature(kernel="_unmix", arguments=_UNMIX, constants=({"PER_TOKEN": 2, "BLOCK": 1024},)),
        *_products(),
    ),
    row_wise=True,
)  # fmt: skip


class Routes(NamedTuple):
    """Which tokens pass through which experts."""

    weights_TK: Tensor
    """Softmax over a token's experts, the largest first; fp32 (fp64 of fp64), with a gradient by the scores."""
    places_TK: Tensor
    """Row of each pass among the sorted ones."""
    tokens_P: Tensor
    """Token of each sorted pass."""
    counts_E: Tensor
    """Passes through each expert."""


def route(scores_TE: Tensor, per_token: int) -> Routes:
    """The experts of each token by their scores. Which of equal scores is taken is the implementation's."""
    found: Routes = OP.implementation(scores_TE).route(scores_TE, per_token)
    return found


def send(x_TW: Tensor, routes: Routes) -> Tensor:
    """What each pass is given, [P, W]: the rows of the tokens, sorted by expert."""
    found: Tensor = OP.implementation(x_TW).send(x_TW, routes)
    return found


def grouped_linear(x_PI: Tensor, routes: Routes, weights: Sequence[Tensor], biases: Sequence[Tensor] = ()) -> Tensor:
    """``x W_e^T + b_e`` of each sorted pass through its expert e, [P, S O].

    Args:
        weights: matrices [O, I], S of each expert one after another, whose outputs come side by side: gates and what
            they gate. They stay where they are, and may be of a wider dtype than x.
        biases: of all matrices, [O], or of none.
    """
    found: Tensor = OP.implementation(x_PI).grouped_linear(x_PI, routes, weights, biases)
    return found


def mix(passed_PW: Tensor, routes: Routes) -> Tensor:
    """What each token gets of its passes, [T, W]: the sum with their weights, the largest first."""
    found: Tensor = OP.implementation(passed_PW).mix(passed_PW, routes)
    return found


def groups(like: Tensor) -> bool:
    """Whether the products of all experts are better computed in one by `grouped_linear` than expert by expert."""
    return OP.chosen(like) != "torch"
