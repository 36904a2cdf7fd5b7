"""Attention of one new token of each text to keys and values that lie in pages (Kwon et al. 2023, arXiv:2309.06180).

Letters: B texts, P pages of the longest, S slots of the cache, H query heads, G key and value heads, D size of a head.
"""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

_SPLIT = {
    "queries": "*T", "keys": "*T", "values": "*T", "pages": "*i32", "lengths": "*i32", "mixed_to": "*fp32",
    "sums_to": "*fp32", "query_b": "i64", "query_h": "i64", "cache_s": "i64", "cache_g": "i64", "pages_b": "i64",
    "page": "i32", "window": "i32", "scale": "fp32", "repeats": "i32", "splits": "i32",
}  # fmt: skip
OP = Op(
    "paged_decode",
    (
        Signature(
            kernel="_split", arguments=_SPLIT,
            constants=({
                "HEAD_DIM": 128, "BLOCK_D": 128, "BLOCK_R": 16, "BLOCK_N": 64, "SPLIT": 256, "UPCAST": False,
            },),
        ),
        Signature(
            kernel="_merge",
            arguments={"mixed": "*fp32", "sums": "*fp32", "mixed_to": "*T", "sums_to": "*fp32", "splits": "i32"},
            constants=({"HEAD_DIM": 128, "BLOCK_D": 128},),
        ),
    ),
    largest=256,
)  # fmt: skip


def paged_decode(
    queries_BHD: Tensor,
    cache_2SGD: Tensor,
    pages_BP: Tensor,
    lengths_B: Tensor,
    *,
    page: int,
    scale: float,
    window: int | None = None,
) -> tuple[Tensor, Tensor]:
    """``softmax(scale q K^T) V`` over the kept positions of each text, and the log of each row's sum.

    Position p of text b has slot ``pages[b, p // page] * page + p % page``. A text sees its `lengths` positions, its
    last `window` of them if that is given; one of length 0 gets 0 and -inf. Pages and lengths are
    int32. For inference only.

    Returns:
        Outputs [B, H, D], and log-sum-exp [B, H] in fp32 (fp64 of fp64).
    """
    found: tuple[Tensor, Tensor] = OP.implementation(queries_BHD, queries_BHD.shape[-1]).paged_decode(
        queries_BHD, cache_2SGD, pages_BP, lengths_B, page=page, scale=scale, window=window
    )
    return found
