"""oneDNN's product of a multiple of 8 rows, or blocks of 64: with few rows a processor's products have other bits."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.kernels.tiles import GRAIN, follows_rows, in_blocks
from evalharness.stack.layers.linear import can_pack, product


def exact_linear(x: Tensor, weight_NK: Tensor, bias_N: Tensor | None = None) -> Tensor:
    rows = x.shape[:-1].numel()
    x_MK, weight_NK = x.reshape(rows, x.shape[-1]), weight_NK.to(x.dtype).contiguous()
    bias_N = None if bias_N is None else bias_N.to(x.dtype)
    if x_MK.numel() and can_pack(x.device, x.dtype) and not follows_rows(x.dtype):
        found = product(F.pad(x_MK, (0, 0, 0, -rows % GRAIN)), weight_NK, bias_N)[:rows]
    else:
        found = in_blocks(x_MK, lambda block_MK: F.linear(block_MK, weight_NK, bias_N))
    return found.view(*x.shape[:-1], len(weight_NK))
