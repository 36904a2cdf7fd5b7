"""Vocabulary projection and the scores of tokens in one, without ever holding the logits of all rows.

Letters: R rows, W width, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

_ARGUMENTS = {
    "hidden": "*T", "weight": "*T", "targets": "*i64", "most": "*fp32", "total": "*fp32", "inner": "*fp32",
    "likeliest": "*i32", "own": "*fp32", "rows": "i32", "vocabulary": "i32", "width": "i32", "hidden_stride": "i64",
    "weight_stride": "i64",
}  # fmt: skip
_BUILD = {"UPCAST": False, "GROUP": 8, "BLOCK_V": 128, "BLOCK_W": 32}
OP = Op(
    "linear_scoring",
    (
        Signature(
            kernel="_tile",
            arguments=_ARGUMENTS,
            constants=({**_BUILD, "BLOCK_R": 16}, {**_BUILD, "BLOCK_R": 128}),
            warps=8,
            stages=3,
        ),
    ),
)


class Scored(NamedTuple):
    """Of each row, all of shape [R]."""

    log_likelihoods_R: Tensor
    """``l_y - logsumexp(l)``, in nats, at least fp32."""
    greedy_R: Tensor
    """Whether the target is the likeliest token, of equals the first."""
    entropies_R: Tensor
    """``-sum_v p_v log p_v`` with ``p = softmax(l)``, in nats."""


def linear_scoring(hidden_RW: Tensor, weight_VW: Tensor, targets_R: Tensor) -> Scored:
    """How likely each row's target is under the logits ``l = h W^T``, which are added up in at least fp32.

    Has no gradient. Both factors are of one dtype, or the weight is made the hidden states'.
    """
    found: Scored = OP.implementation(hidden_RW).linear_scoring(hidden_RW, weight_VW, targets_R)
    return found
