"""Two copies by index."""

from __future__ import annotations

from torch import Tensor


def store_kv(keys_TGD: Tensor, values_TGD: Tensor, cache_2PSGD: Tensor, pages_T: Tensor, places_T: Tensor) -> None:
    for kept, new_TGD in zip(cache_2PSGD.unbind(), (keys_TGD, values_TGD), strict=True):
        if kept.shape[1] == 1:
            kept[:, 0].index_copy_(0, pages_T, new_TGD)
        else:
            kept.index_put_((pages_T, places_T), new_TGD)
