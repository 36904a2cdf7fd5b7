"""Attention of the new tokens of running texts to keys and values in pages (Kwon et al. 2023, arXiv:2309.06180).

Letters: N rows (the new tokens of all texts), P pages of the cache, S positions of a page, H query heads, G key and
value heads, D size of a head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from torch import Tensor

from evalharness.stack.kernels.op import DTYPES, FLOATS, TARGETS, Op, Signature
from evalharness.stack.kernels.paged_decode.blocks import MERGED, SMALLEST, Tile, tile_of
from evalharness.stack.kernels.paged_decode.plan import SHARED_QUERIES, PagePlan
from evalharness.stack.kernels.tiles import TILE

__all__ = ["OP", "PagePlan", "paged_decode", "paths_in_pages"]

_ATTEND = {
    "queries": "*T", "keys": "*T", "values": "*T", "positions": "*i32", "blocks": "*i32", "table": "*i32",
    "sums_to": "*fp32", "query_n": "i32", "query_h": "i32", "cache_p": "i32", "cache_s": "i32", "cache_g": "i32",
    "rows": "i32", "window": "i32", "scale": "fp32", "heads": "i32", "repeats": "i32",
}  # fmt: skip
_MERGE = {"parts_of": "*fp32", "sums": "*fp32", "mixed_to": "*T", "parts": "i32", "count": "i32"}
_HEADS = (64, 128)
"""Sizes of heads of large models, which are compiled ahead of time."""


def attends(queries: int, to: str) -> Iterator[Signature]:
    """Of the kernel that attends, with blocks of so many queries and results of a type of Triton."""
    for dtype, width in product(FLOATS, _HEADS):
        size = DTYPES[dtype].itemsize
        uses: dict[Tile, list[str]] = {}
        for target in TARGETS:
            uses.setdefault(tile_of(queries, width, size, TILE, target), []).append(target)
        for tile, targets in uses.items():
            sizes = {"HEAD_DIM": width, "BLOCK_D": width, "BLOCK_M": queries, "PAGE": TILE, "STEP": tile.step}
            yield Signature(
                kernel="attend",
                arguments={**_ATTEND, "mixed_to": to},
                constants=({**sizes, "UNIT": 16 // size, "UPCAST": False},),
                dtypes=(dtype,),
                warps=tile.warps,
                stages=tile.stages,
                targets=tuple(targets),
            )


OP = Op(
    "paged_decode",
    (
        *attends(SMALLEST, "*T"),  # one part
        *attends(SMALLEST, "*fp32"),
        *attends(SHARED_QUERIES, "*fp32"),  # where texts read a path together
        Signature(
            kernel="_merge",
            arguments=_MERGE,
            constants=tuple({"HEAD_DIM": width, "BLOCK_D": width, "BLOCK_P": MERGED} for width in _HEADS),
            stages=2,
        ),
    ),
    largest=256,
    row_wise=True,  # where it is called with `exact`
)


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
    found: Tensor = OP.implementation(queries_NHD).paged_decode(
        queries_NHD, cache_2PSGD, plan, scale=scale, window=window, exact=exact, paths=paths
    )
    return found


def paths_in_pages(like: Tensor) -> bool:
    """Whether what computes reads shared paths in pages of the cache, [..., D] of which `like` is, not side by side."""
    found: bool = OP.implementation(like).PATHS_IN_PAGES
    return found
