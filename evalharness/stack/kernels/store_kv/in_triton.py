"""A program for a token, or for a block of its numbers where it has many."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.launching import on_device_of, row_block

LARGEST = 1024
"""Numbers that a program copies at most."""


@triton.jit
def _store(
    keys, values, cache, pages, places, key_t, key_g, value_t, value_g, index, cache_2, cache_p, cache_s, cache_g,
    size, numbers, BLOCK: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < numbers
    group, place = at // size, at % size
    key = tl.load(keys + token * key_t + group * key_g + place, inside)
    value = tl.load(values + token * value_t + group * value_g + place, inside)
    page, offset = tl.load(pages + token * index), tl.load(places + token * index)
    to = cache + page * cache_p + offset * cache_s + group * cache_g + place
    tl.store(to, key, inside)
    tl.store(to + cache_2, value, inside)


def store_kv(keys_TGD: Tensor, values_TGD: Tensor, cache_2PSGD: Tensor, pages_T: Tensor, places_T: Tensor) -> None:
    tokens, groups, size = keys_TGD.shape
    keys_TGD, values_TGD = (x if x.stride(-1) == 1 else x.contiguous() for x in (keys_TGD, values_TGD))
    places_T = places_T if places_T.stride() == pages_T.stride() else places_T.contiguous()
    pages_T = pages_T if pages_T.stride() == places_T.stride() else pages_T.contiguous()
    block = min(row_block(groups * size), LARGEST)
    if keys_TGD.numel():
        with on_device_of(cache_2PSGD):
            _store[(tokens, triton.cdiv(groups * size, block))](
                keys_TGD, values_TGD, cache_2PSGD, pages_T, places_T, *keys_TGD.stride()[:2], *values_TGD.stride()[:2],
                pages_T.stride(0), *cache_2PSGD.stride()[:4], size, groups * size, BLOCK=block,
            )  # fmt: skip
