"""Two copies by index."""

from __future__ import annotations

from torch import Tensor


def store_kv(keys_TGD: Tensor, values_TGD: Tensor, cache_2PSGD: Tensor, pages_T: Tensor, places_T: Tensor) -> None:
    cached_keys, cached_values = cache_2PSGD.unbind()
    if cached_keys.shape[1] == 1:
        cached_keys[:, 0].index_copy_(0, pages_T, keys_TGD)
        cached_values[:, 0].index_copy_(0, pages_T, values_TGD)
    else:
        cached_keys.index_put_((pages_T, places_T), keys_TGD)
        cached_values.index_put_((pages_T, places_T), values_TGD)
