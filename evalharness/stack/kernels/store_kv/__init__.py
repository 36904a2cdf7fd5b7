"""New keys and values into the slots of a cache.

Letters: T tokens, S slots, G key and value heads, D size of a head.
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
                "keys": "*T", "values": "*T", "cache": "*T", "slots": "*i64", "key_t": "i64", "key_g": "i64",
                "value_t": "i64", "value_g": "i64", "cache_2": "i64", "cache_s": "i64", "size": "i32", "numbers": "i32",
            },
            constants=({"BLOCK": 1024},),
        ),
    ),
)  # fmt: skip


def store_kv(keys_TGD: Tensor, values_TGD: Tensor, cache_2SGD: Tensor, slots_T: Tensor) -> None:
    """``cache[0, slot of t] = keys[t]`` and ``cache[1, slot of t] = values[t]``, in place; a slot of -1 keeps nothing.

    No slot may be named twice.
    """
    OP.implementation(cache_2SGD).store_kv(keys_TGD, values_TGD, cache_2SGD, slots_T)
