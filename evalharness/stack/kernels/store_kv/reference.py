"""Token by token."""

from __future__ import annotations

from torch import Tensor


def store_kv(keys_TGD: Tensor, values_TGD: Tensor, cache_2PSGD: Tensor, pages_T: Tensor, places_T: Tensor) -> None:
    for token, (page, place) in enumerate(zip(pages_T.tolist(), places_T.tolist(), strict=True)):
        cache_2PSGD[0, page, place] = keys_TGD[token]
        cache_2PSGD[1, page, place] = values_TGD[token]
