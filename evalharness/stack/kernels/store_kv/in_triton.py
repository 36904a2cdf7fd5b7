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
    keys, values, cache, slots, key_t, key_g, value_t, value_g, cache_2, cache_s, size, numbers, BLOCK: tl.constexpr
):
    token = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots + token)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < tl.where(slot >= 0, numbers, 0)
    group, place = at // size, at % size
    key = tl.load(keys + token * key_t + group * key_g + place, inside)
    value = tl.load(values + token * value_t + group * value_g + place, inside)
    tl.store(cache + slot * cache_s + at, key, inside)
    tl.store(cache + cache_2 + slot * cache_s + at, value, inside)


def store_kv(keys_TGD: Tensor, values_TGD: Tensor, cache_2SGD: Tensor, slots_T: Tensor) -> None:
    tokens, groups, size = keys_TGD.shape
    keys_TGD, values_TGD = (x if x.stride(-1) == 1 else x.contiguous() for x in (keys_TGD, values_TGD))
    block = min(row_block(groups * size), LARGEST)
    if keys_TGD.numel():
        with on_device_of(cache_2SGD):
            _store[(tokens, triton.cdiv(groups * size, block))](
                keys_TGD, values_TGD, cache_2SGD, slots_T.long(), *keys_TGD.stride()[:2], *values_TGD.stride()[:2],
                *cache_2SGD.stride()[:2], size, groups * size, BLOCK=block,
            )  # fmt: skip
