"""Attention without its matrix of scores in memory (Dao 2023, arXiv:2307.08691).

Letters: B sequences, T queries, S keys, H query heads, G key and value heads, D size of a head.
"""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.flash_attention.intervals import KeyIntervals, causal, everything, packed
from evalharness.stack.kernels.op import Op, Signature

__all__ = ["OP", "KeyIntervals", "causal", "everything", "flash_attention", "packed"]

_INPUTS = {"queries": "*T", "keys": "*T", "values": "*T"}
_STRIDES = {
    f"{name}_{axis}": "i64" for name, axes in (("query", "bth"), ("key", "bsg"), ("value", "bsg")) for axis in axes
}
_GRADIENT_STRIDES = {f"gradient_{axis}": "i64" for axis in "bth"}
_INTERVALS = {"first_of": "*i32", "end_of": "*i32", "slopes": "*fp32"}
_SAVED = {"gradient": "*T", "sums_of": "*fp32", "delta_of": "*fp32"}
_QUERIES = {"count": "i32", "seen": "i32", "offset": "i32", "scale": "fp32", "heads": "i32", "repeats": "i32"}
_KEYS = {name if name != "heads" else "groups": kind for name, kind in _QUERIES.items()}


def _constants(queries: int, keys: int, *, size: int, alibi: bool) -> dict[str, object]:
    return {
        "HEAD_DIM": size, "BLOCK_D": size, "BLOCK_M": queries, "BLOCK_N": keys, "ALIBI": alibi, "UPCAST": False,
    }  # fmt: skip


_FORWARD = {**_INPUTS, **_INTERVALS, "mixed_to": "*T", "sums_to": "*fp32", **_STRIDES, "interval_b": "i64", **_QUERIES}
_DELTA = {
    "mixed": "*T", "gradient": "*T", "delta_to": "*fp32", **{f"mixed_{axis}": "i64" for axis in "bth"},
    **_GRADIENT_STRIDES, "count": "i32", "heads": "i32",
}  # fmt: skip
_BACKWARD_KEYS = {
    **_INPUTS, **_SAVED, **_INTERVALS, "query_first": "*i32", "query_end": "*i32", "key_to": "*T", "value_to": "*T",
    **_STRIDES, **_GRADIENT_STRIDES, "interval_b": "i64", "range_b": "i64", **_KEYS,
}  # fmt: skip
_BACKWARD_QUERIES = {
    **_INPUTS, **_SAVED, **_INTERVALS, "query_to": "*T", **_STRIDES, **_GRADIENT_STRIDES, "interval_b": "i64",
    **_QUERIES,
}  # fmt: skip
OP = Op(
    "flash_attention",
    (
        Signature(
            kernel="_delta", arguments=_DELTA, constants=({"HEAD_DIM": 128, "BLOCK_D": 128, "BLOCK_M": 16},)
        ),
        Signature(
            kernel="_forward", arguments=_FORWARD, dtypes=("bf16", "fp16"), warps=8, stages=3,
            constants=(_constants(128, 64, size=128, alibi=False),),
        ),
        Signature(
            kernel="_forward", arguments=_FORWARD, dtypes=("fp32",),
            constants=(_constants(64, 32, size=64, alibi=True),),
        ),
        Signature(
            kernel="_backward_keys", arguments=_BACKWARD_KEYS, dtypes=("bf16",), warps=8,
            constants=(_constants(32, 128, size=128, alibi=False),),
        ),
        Signature(
            kernel="_backward_queries", arguments=_BACKWARD_QUERIES, dtypes=("bf16",), warps=8,
            constants=(_constants(128, 32, size=128, alibi=False),),
        ),
    ),
    largest=256,
)  # fmt: skip


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
    """
    found: tuple[Tensor, Tensor] = OP.implementation(queries_BTHD, queries_BTHD.shape[-1]).flash_attention(
        queries_BTHD, keys_BSGD, values_BSGD, intervals, scale=scale, slopes_H=slopes_H
    )
    return found
