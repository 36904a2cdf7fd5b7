"""Products of blocks of 64 rows: with other numbers of rows a processor's products may have other bits."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.kernels.tiles import in_blocks


def exact_linear(x: Tensor, weight_NK: Tensor, bias_N: Tensor | None = None) -> Tensor:
    x_MK, weight_NK = x.reshape(x.shape[:-1].numel(), x.shape[-1]), weight_NK.to(x.dtype)
    bias_N = None if bias_N is None else bias_N.to(x.dtype)
    product = in_blocks(x_MK, lambda rows_MK: F.linear(rows_MK, weight_NK, bias_N))
    return product.view(*x.shape[:-1], len(weight_NK))
