"""What the ops of the engine's attention have in common: tiles of positions, and scores in fp32.

Letters in names: G key and value heads, M queries of one of them, S keys, D size of a head.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

GRAIN = 8
"""Rows that a product of packed weights in `exact` has a multiple of on a processor: one row has other bits."""
BLOCK = 64
"""Rows of every product in `exact` where grains are not enough."""
TILE = 64
"""Positions of a tile: tile t holds the positions 64 t to 64 t + 63, whoever asks."""


def grain_of(size: int) -> int:
    """Queries of heads of that size that scores in `exact` have a multiple of on a processor: with fewer, MKL's product
    has other bits; on Intel's processors with fewer than 16 from heads of 192 on."""
    return 8 if size <= 128 else 16


def scores_of(queries_GMD: Tensor, keys_GSD: Tensor, bias_GMS: Tensor | None = None) -> Tensor:
    """``q k^T + bias`` in fp32, [G, M, S]; the queries are scaled, and the bias may be [G, M, S] or any like it.

    bf16 keeps 8 bits of scores, and flash attention keeps them in fp32 for that reason; a GPU's product makes fp32
    sums anyway. Processors' products have no other type of result than that of the factors. Large heads that do not
    fill AMX's tiles (168 and 240 numbers) are filled up, as their bits would follow the number of rows.
    """
    unfilled = -queries_GMD.shape[-1] % 32
    if unfilled and queries_GMD.is_cpu and queries_GMD.shape[-1] > 128 and follows_rows(queries_GMD.dtype):
        queries_GMD, keys_GSD = (F.pad(part, (0, unfilled)) for part in (queries_GMD, keys_GSD))
    keys_GDS = keys_GSD.transpose(1, 2)
    if queries_GMD.is_cuda and queries_GMD.dtype != torch.float32 and hasattr(torch.ops.aten.bmm, "dtype"):
        scores_GMS: Tensor = torch.ops.aten.bmm.dtype(queries_GMD, keys_GDS, torch.float32)
        return scores_GMS if bias_GMS is None else scores_GMS.add_(bias_GMS)
    if bias_GMS is None:
        return wide(torch.bmm(queries_GMD, keys_GDS))
    return wide(torch.baddbmm(bias_GMS, queries_GMD, keys_GDS))


def mix(weights_GMS: Tensor, values_GSD: Tensor, exact: bool) -> tuple[Tensor, Tensor]:
    """Weighted values [G, M, D] and the sum of the weights [G, M]; in `exact` tile by tile, in order of position."""
    if not exact:
        return wide(torch.bmm(weights_GMS.to(values_GSD.dtype), values_GSD)), weights_GMS.sum(-1)
    mixed_GMD = weights_GMS.new_zeros(*weights_GMS.shape[:2], values_GSD.shape[-1])
    total_GM = weights_GMS.new_zeros(weights_GMS.shape[:2])
    add_tiles(mixed_GMD, total_GM, weights_GMS, values_GSD)
    return mixed_GMD, total_GM


def add_tiles(mixed_GMD: Tensor, total_GM: Tensor, weights_GMS: Tensor, values_GSD: Tensor) -> None:
    """Add what each tile of 64 positions brings, one after another; queries beyond those of `mixed_GMD` are dropped.

    A product over one tile has the same bits whatever is computed beside it, and tiles that a query does not see add
    zero: so the order of the sum, and with it every bit, depends on the positions alone.
    """
    count = mixed_GMD.shape[1]
    sums_GMB = weights_GMS.view(*weights_GMS.shape[:2], -1, TILE).sum(-1)
    for number in range(sums_GMB.shape[-1]):
        here = slice(number * TILE, (number + 1) * TILE)
        mixed_GMD += torch.bmm(weights_GMS[..., here].to(values_GSD.dtype), values_GSD[:, here])[:, :count]
        total_GM += sums_GMB[:, :count, number]


def has_amx() -> bool:
    """Whether this processor multiplies matrices in tiles (Intel's AMX).

    Flash attention is the fastest way to attend there, in fp32 too: it takes half the time of whole products. On AMD's
    processors it takes longer than these, in bf16 several times (benchmarks/engine/attention.py and, in
    benchmarks/kernels, paged_decode.py).
    """
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())


def follows_rows(dtype: torch.dtype) -> bool:
    """Whether oneDNN's products of whole grains have other bits with other numbers of rows, on this processor: those of
    bf16 on AMX divide their sums by what is fast for so many rows."""
    return dtype == torch.bfloat16 and has_amx()


def in_blocks(x_MK: Tensor, multiply: Callable[[Tensor], Tensor]) -> Tensor:
    """What `multiply` makes of rows, always of `BLOCK` rows at once: products of one shape add up in one order."""
    rows = len(x_MK)
    filled = F.pad(x_MK, (0, 0, 0, -rows % BLOCK))
    return torch.cat([multiply(part) for part in torch.split(filled, BLOCK)])[:rows]


def wide(x: Tensor) -> Tensor:
    """In fp32, or in fp64 where it is that."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
