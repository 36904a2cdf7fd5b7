"""Attention of a line of rows that share parts of their paths, as the prefix tree of the engine lays them out.

`fast` takes the common path of many rows and the rest of each apart and merges the two by their log-sum-exp (Juravsky
et al. 2024, arXiv:2402.05099). `exact` adds tiles of 64 positions in order: a row has the same bits whatever is shared,
and whatever is computed beside it. Letters: M rows, C columns, H query heads, G key and value heads, D size of a head.
"""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.op import Op
from evalharness.stack.kernels.paged_decode import attends
from evalharness.stack.kernels.paged_decode.blocks import SMALLEST
from evalharness.stack.kernels.shared_prefix_attention.plan import Branch, Group, PrefixPlan

__all__ = ["OP", "Branch", "Group", "PrefixPlan", "shared_prefix_attention"]

OP = Op(
    "shared_prefix_attention",
    tuple(attends(SMALLEST, "*T")),
    largest=256,
    row_wise=True,  # where it is called with `exact`
)


def shared_prefix_attention(
    queries_MHD: Tensor,
    keys_CGD: Tensor,
    values_CGD: Tensor,
    plan: PrefixPlan,
    *,
    scale: float,
    window: int | None = None,
    exact: bool = False,
) -> Tensor:
    """``softmax(scale Q K^T) V`` [M, H, D], where a row at position i sees the positions ``j <= i`` of its path.

    With a window it sees those with ``i - j < window``. For inference only.
    """
    found: Tensor = OP.implementation(queries_MHD).shared_prefix_attention(
        queries_MHD, keys_CGD, values_CGD, plan, scale=scale, window=window, exact=exact
    )
    return found
