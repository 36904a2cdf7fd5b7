"""New keys and values into their places in the pages of a cache.

Letters: T tokens, P pages, S positions of a page, G key and value heads, D size of a head.
"""

from __future__ import annotations

from torch import Tensor

from evalharness.stack.kernels.op import Op, Signature

OP = Op(
    "store_kv",
    (
        Signature(
            kernel="_store",
            arguments={
                "keys": "*T", "values": "*T", "cache": "*T", "pages": "*i64", "places": "*i64", "key_t": "i64",
                "key_g": "i64", "value_t": "i64", "value_g": "i64", "index": "i64", "cache_2": "i64", "cache_p": "i64",
                "cache_s": "i64", "cache_g": "i64", "size": "i32", "numbers": "i32",
            },
            constants=({"BLOCK": 1024},),
        ),
    ),
    row_wise=True,
)  # fmt: skip


def store_kv(keys_TGD: Tensor, values_TGD: Tensor, cache_2PSGD: Tensor, pages_T: Tensor, places_T: Tensor) -> None:
    """``cache[0, page of t, place of t] = keys[t]`` and ``cache[1, ...] = values[t]``, in place; any strides.

    A place that several tokens name has the numbers of some of them. A cache whose pages have one place each is one of
    slots. Pages and places are int64.
    """
    OP.implementation(cache_2PSGD).store_kv(keys_TGD, values_TGD, cache_2PSGD, pages_T, places_T)
