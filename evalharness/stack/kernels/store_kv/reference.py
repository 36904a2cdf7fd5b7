"""Token by token."""

from __future__ import annotations

from torch import Tensor


def store_kv(keys_TGD: Tensor, values_TGD: Tensor, cache_2SGD: Tensor, slots_T: Tensor) -> None:
    for token, slot in enumerate(slots_T.tolist()):
        if slot >= 0:
            cache_2SGD[0, slot] = keys_TGD[token]
            cache_2SGD[1, slot] = values_TGD[token]
