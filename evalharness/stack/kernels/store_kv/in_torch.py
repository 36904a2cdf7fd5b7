"""Two copies by index."""

from __future__ import annotations

from torch import Tensor


def store_kv(keys_TGD: Tensor, values_TGD: Tensor, cache_2SGD: Tensor, slots_T: Tensor) -> None:
    kept_T = slots_T >= 0
    if not bool(kept_T.all()):
        keys_TGD, values_TGD, slots_T = keys_TGD[kept_T], values_TGD[kept_T], slots_T[kept_T]
    cache_2SGD[0].index_copy_(0, slots_T, keys_TGD)
    cache_2SGD[1].index_copy_(0, slots_T, values_TGD)
