"""Scores of attention in fp32, of keys and queries in any type of numbers.

bf16 keeps 8 bits of them, and flash attention keeps scores in fp32 for that reason; a GPU's product makes fp32 sums
anyway. Processors' products have no other type of result than that of the factors.
"""

from __future__ import annotations

import torch
from torch import Tensor


def scores_of(queries_GMD: Tensor, keys_GSD: Tensor, bias_GMS: Tensor | None = None) -> Tensor:
    """``q k^T + bias`` in fp32, [G, M, S]; the queries are scaled, and the bias may be [G, M, S] or any like it."""
    keys_GDS = keys_GSD.transpose(1, 2)
    if queries_GMD.is_cuda and queries_GMD.dtype != torch.float32 and hasattr(torch.ops.aten.bmm, "dtype"):
        scores_GMS: Tensor = torch.ops.aten.bmm.dtype(queries_GMD, keys_GDS, torch.float32)
        return scores_GMS if bias_GMS is None else scores_GMS.add_(bias_GMS)
    if bias_GMS is None:
        return torch.bmm(queries_GMD, keys_GDS).float()
    return torch.baddbmm(bias_GMS, queries_GMD, keys_GDS).float()
