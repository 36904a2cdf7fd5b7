"""Vocabulary projection and the scores of tokens in one, without ever holding the logits of all rows.

Letters: R rows, K targets of a row, W width, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from evalharness.stack.kernels.linear_scoring.heads import Head
from evalharness.stack.kernels.op import Op, Signature

_TILE = {
    "hidden": "*T", "weight": "*T", "targets": "*i64", "most": "*fp32", "total": "*fp32", "inner": "*fp32",
    "likeliest": "*i32", "own": "*fp32", "rows": "i32", "vocabulary": "i32", "width": "i32", "count": "i32",
    "hidden_stride": "i64", "weight_stride": "i64",
}  # fmt: skip
_ROW = {
    "logits": "*fp32", "most": "*fp32", "norms": "*fp32", "entropies": "*fp32", "likeliest": "*i64",
    "vocabulary": "i32", "stride": "i64",
}  # fmt: skip
_BUILD = {"UPCAST": False, "GROUP": 8, "BLOCK_V": 128, "BLOCK_W": 32}
OP = Op(
    "linear_scoring",
    (
        Signature(
            kernel="_tile",
            arguments=_TILE,
            constants=({**_BUILD, "BLOCK_R": 16}, {**_BUILD, "BLOCK_R": 128}),
            warps=8,
            stages=3,
        ),
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
