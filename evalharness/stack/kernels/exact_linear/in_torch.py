"""A whole product of a multiple of 8 rows: a processor's products have other bits with few rows."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

GRAIN = 8


def exact_linear(x: Tensor, weight_NK: Tensor, bias_N: Tensor | None = None) -> Tensor:
    rows = x.shape[:-1].numel()
    x_MK = F.pad(x.reshape(rows, x.shape[-1]), (0, 0, 0, -rows % GRAIN))
    bias_N = None if bias_N is None else bias_N.to(x.dtype)
    return F.linear(x_MK, weight_NK.to(x.dtype), bias_N)[:rows].view(*x.shape[:-1], len(weight_NK))
