"""Attention without its matrix of scores in memory (Dao 2023, arXiv:2307.08691).

Letters: B sequences, T queries, S keys, H query heads, G key and value heads, D size of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from torch import Tensor

from evalharness.stack.kernels.flash_attention.intervals import KeyIntervals, causal, everything, packed
from evalharness.stack.kernels.op import TARGETS, Op, Signature

__all__ = ["OP", "KeyIntervals", "causal", "everything", "flash_attention", "packed"]


class Blocks(NamedTuple):
    """Tiles of a Triton kernel, and how it is launched."""

    own: int
    """Rows that a program holds: keys in the backward pass of keys, else queries."""
    others: int
    """Rows of each tile that it goes through."""
    warps: int
    stages: int
    ahead: bool = False
    """Whether the next tile's scores are begun before this one's are used: faster, where registers suffice."""


ROWS = 16
"""Queries of a program that makes no scores."""
SIZES = (64, 128, 256)
"""Heads up to which the tiles below are for; those of more numbers have no Triton."""
HALVES = {
    "sm_90": {
        "forward": (Blocks(128, 64, 8, 3), Blocks(128, 64, 8, 3, ahead=True), Blocks(128, 32, 8, 2)),
        "keys": (Blocks(64, 64, 4, 2), Blocks(64, 32, 4, 2), Blocks(32, 32, 8, 2)),
        "queries": (Blocks(128, 64, 8, 2), Blocks(128, 64, 8, 2), Blocks(128, 16, 8, 2)),
    },
    "sm_80": {
        "forward": (Blocks(128, 64, 8, 3, ahead=True), Blocks(128, 64, 8, 2, ahead=True), Blocks(64, 32, 8, 2)),
        "keys": (Blocks(64, 32, 4, 2), Blocks(64, 64, 8, 2), Blocks(32, 32, 8, 2)),
        "queries": (Blocks(64, 32, 4, 2), Blocks(64, 64, 8, 2), Blocks(64, 16, 8, 2)),
    },
    "gfx942": {
        "forward": (Blocks(128, 64, 4, 2), Blocks(128, 32, 4, 2), Blocks(64, 32, 4, 1)),
        "keys": (Blocks(64, 64, 4, 1), Blocks(64, 32, 4, 1), Blocks(32, 32, 4, 1)),
        "queries": (Blocks(64, 64, 4, 1), Blocks(64, 32, 4, 1), Blocks(32, 32, 4, 1)),
    },
}
"""Of numbers of 16 bits, by GPU and kernel: the largest tiles whose numbers stay in registers, as compilers tell.

Hopper's products want 64 rows a group of four warps. There, tiles of 64 and fewer keys in the backward pass leave room
for two programs, so that one's products go on beside the other's exponents.
"""
_WIDE = {
    "forward": (Blocks(64, 32, 8, 2), Blocks(32, 32, 8, 2), Blocks(16, 16, 8, 2)),
    "keys": (Blocks(32, 32, 8, 2), Blocks(32, 16, 8, 2), Blocks(16, 16, 8, 2)),
    "queries": (Blocks(32, 32, 8, 2), Blocks(32, 32, 8, 2), Blocks(16, 16, 8, 2)),
}
WIDE = {
    "sm_90": _WIDE,
    "sm_80": _WIDE,
    "gfx942": dict.fromkeys(_WIDE, (Blocks(64, 32, 4, 1), Blocks(32, 16, 4, 1), Blocks(16, 16, 4, 1))),
}
"""Of fp32."""


def blocks(kernel: str, target: str, size: int, *, wide: bool) -> Blocks:
    """For heads of so many numbers, which are `wide` in fp32."""
    of_kernel = (WIDE if wide else HALVES)[target][kernel]
    return next(found for up_to, found in zip(SIZES, of_kernel, strict=True) if size <= up_to)


_INPUTS = {"queries": "*T", "keys": "*T", "values": "*T"}
_STRIDES = {
    f"{name}_{axis}": "i32" for name, axes in (("query", "bth"), ("key", "bsg"), ("value", "bsg")) for axis in axes
}
_GRADIENT_STRIDES = {f"gradient_{axis}": "i32" for axis in "bth"}
_INTERVALS = {"first_of": "*i32", "end_of": "*i32", "slopes": "*fp32"}
_SAVED = {"gradient": "*T", "shift_of": "*fp32", "delta_of": "*fp32"}
_QUERIES = {"count": "i32", "seen": "i32", "offset": "i32", "scale": "fp32", "heads": "i32", "repeats": "i32"}
_KEYS = {name if name != "heads" else "groups": kind for name, kind in _QUERIES.items()}
_DELTA = {
    "mixed": "*T", "gradient": "*T", "sums_of": "*fp32", "delta_to": "*fp32", "shift_to": "*fp32",
    **{f"mixed_{axis}": "i32" for axis in "bth"}, **_GRADIENT_STRIDES, "count": "i32", "heads": "i32",
}  # fmt: skip
_ARGUMENTS = {
    "forward": {
        **_INPUTS, **_INTERVALS, "mixed_to": "*T", "sums_to": "*fp32", **_STRIDES, "interval_b": "i32", **_QUERIES,
    },
    "keys": {
        **_INPUTS, **_SAVED, **_INTERVALS, "key_to": "*T", "value_to": "*T", **_STRIDES, **_GRADIENT_STRIDES,
        "interval_b": "i32", **_KEYS,
    },
    "queries": {
        **_INPUTS, **_SAVED, **_INTERVALS, "query_to": "*T", **_STRIDES, **_GRADIENT_STRIDES, "interval_b": "i32",
        **_QUERIES,
    },
}  # fmt: skip
_KERNELS = {"forward": "_forward", "keys": "_backward_keys", "queries": "_backward_queries"}


def _signatures() -> Iterator[Signature]:
    """Of heads of 64 and 128 numbers, which most models have, and of ALiBi with the former."""
    sizes = (64, 128)
    yield Signature(
        kernel="_delta", arguments=_DELTA,
        constants=tuple({"HEAD_DIM": size, "BLOCK_D": size, "BLOCK_M": ROWS} for size in sizes),
    )  # fmt: skip
    for kernel, target, size, wide in product(_ARGUMENTS, TARGETS, sizes, (False, True)):
        tiles = blocks(kernel, target, size, wide=wide)
        ahead = {"AHEAD": tiles.ahead} if kernel == "forward" else {}
        yield Signature(
            kernel=_KERNELS[kernel], arguments=_ARGUMENTS[kernel], dtypes=("fp32",) if wide else ("bf16", "fp16"),
            targets=(target,), warps=tiles.warps, stages=tiles.stages,
            constants=tuple(
                {
                    "HEAD_DIM": size, "BLOCK_D": size, "BLOCK_M": tiles.own, "BLOCK_N": tiles.others, "UPCAST": False,
                    "ALIBI": alibi, **ahead,
                }
                for alibi in ((False, True) if size == sizes[0] else (False,))
            ),
        )  # fmt: skip


OP = Op("flash_attention", tuple(_signatures()), largest=SIZES[-1])


def flash_attention(
    queries_BTHD: Tensor,
    keys_BSGD: Tensor,
    values_BSGD: Tensor,
    intervals: KeyIntervals,
    *,
    scale: float,
    slopes_H: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """``O = softmax(scale Q K^T - slope |i - j|) V`` over the keys each query sees, and the log of each row's sum.

    Head h of H queries reads the keys of head ``h // (H / G)``. A query that sees nothing gets 0 and -inf. Gradients go
    to queries, keys and values; none to `slopes_H` (ALiBi, Press et al. 2022, arXiv:2108.12409; fp32), and none come
    from the log-sum-exp.

    Returns:
        Outputs [B, T, H, D], and log-sum-exp [B, H, T] in fp32 (fp64 of fp64).

    Raises:
        ValueError: the scale is not positive; kernels scale the largest score of a row in place of all.
    """
    if not scale > 0:
        raise ValueError(f"the scale of attention is positive, not {scale}")
    found: tuple[Tensor, Tensor] = OP.implementation(queries_BTHD).flash_attention(
        queries_BTHD, keys_BSGD, values_BSGD, intervals, scale=scale, slopes_H=slopes_H
    )
    return found
