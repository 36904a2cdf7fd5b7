"""Attention of the new tokens of running texts to keys and values in pages (Kwon et al. 2023, arXiv:2309.06180).

Letters: N rows (the new tokens of all texts), P pages of the cache, S positions of a page, H query heads, G key and
value heads, D size of a head.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature
from evalharness.stack.kernels.paged_decode.plan import PagePlan

__all__ = ["OP", "PagePlan", "paged_decode", "paths_in_pages"]

_ATTEND = {
    "queries": "*T", "keys": "*T", "values": "*T", "positions": "*i32", "blocks": "*i32", "table": "*i32",
    "sums_to": "*fp32", "query_n": "i64", "query_h": "i64", "cache_p": "i64", "cache_s": "i64", "cache_g": "i64",
    "rows": "i32", "window": "i32", "scale": "fp32", "heads": "i32", "repeats": "i32",
}  # fmt: skip
_SIZES = {"HEAD_DIM": 128, "BLOCK_D": 128, "PAGE": 64, "UPCAST": False}
OP = Op(
    "paged_decode",
    (
        Signature(
            kernel="attend", arguments={**_ATTEND, "mixed_to": "*T"}, constants=({**_SIZES, "BLOCK_M": 16},)
        ),
        Signature(
            kernel="attend", arguments={**_ATTEND, "mixed_to": "*fp32"}, constants=({**_SIZES, "BLOCK_M": 32},)
        ),
        Signature(
            kernel="_merge",
            arguments={"parts_of": "*fp32", "sums": "*fp32", "mixed_to": "*T", "parts": "i32", "count": "i32"},
            constants=({"HEAD_DIM": 128, "BLOCK_D": 128},),
        ),
    ),
    largest=256,
    row_wise=True,  # where it is called with `exact`
)  # fmt: skip


def paged_decode(
    queries_NHD: Tensor,
    cache_2PSGD: Tensor,
    plan: PagePlan,
    *,
    scale: float,
    window: int | None = None,
    exact: bool = False,
    paths: Sequence[Tensor] = (),
) -> Tensor:
    """``softmax(scale Q K^T) V`` [N, H, D], where a row at position i of a text sees its positions ``j <= i``.

    With a window it sees those with ``i - j < window``. The new keys and values lie in the cache already (`store_kv`).
    In `exact` a row has the same bits whatever is computed beside it, and in Triton those of `shared_prefix_attention`.
    For inference only.

    Args:
        paths: keys and values [2, G, S, D] of each of the plan's groups side by side, where `paths_in_pages` is false.
    """
    found: Tensor = OP.implementation(queries_NHD, queries_NHD.shape[-1]).paged_decode(
        queries_NHD, cache_2PSGD, plan, scale=scale, window=window, exact=exact, paths=paths
    )
    return found


def paths_in_pages(like: Tensor) -> bool:
    """Whether what computes reads shared paths in pages of the cache, [..., D] of which `like` is, not side by side."""
    found: bool = OP.implementation(like, like.shape[-1]).PATHS_IN_PAGES
    return found
