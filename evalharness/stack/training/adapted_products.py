"""Linear layers with low-rank adapters: forward and backward passes that hold no more than the layers' outputs.

With W and b frozen, inputs x, and ``low = x A^T`` of the adapter, the outputs ``x W^T + b + s low B^T`` are added up in
one tensor, and the gradients are

    by_low = s by_output B,  by_A = by_low^T x,  by_B = s by_output^T low,  by_x = by_output W + by_low A.

Letters: N rows, K inputs, M outputs of all layers of one input, O of one of them, R ranks of all their adapters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from evalharness.stack.layers.lora import LoRALinear

Product = Callable[..., Tensor]
"""``x W^T + b`` of x [N, K], W [M, K] and b or None, without a gradient."""


class _Part(NamedTuple):
    """Where the adapter of one layer acts."""

    outputs: slice
    """Of those of all layers."""
    ranks: slice
    """Of those of all A."""
    scale: float


def can_adapt(layers: Sequence[nn.Linear], x: Tensor) -> bool:
    """Whether `adapted` computes these: their own weights are frozen, and all numbers are of one type."""
    own = [parameter for layer in layers for parameter in (layer.weight, layer.bias) if parameter is not None]
    kinds = {x.dtype, *(parameter.dtype for layer in layers for parameter in layer.parameters())}
    frozen = not any(parameter.requires_grad for parameter in own)
    return frozen and len(kinds) == 1 and not torch.is_autocast_enabled(x.device.type)


def adapted(
    layers: Sequence[nn.Linear], x: Tensor, weight_MK: Tensor, bias_M: Tensor | None, product: Product
) -> Tensor:
    """The outputs of layers of one input, one after another, [..., M]; x is [..., K].

    Where adapters have a dropout, all those of one input miss the same numbers of it.

    Args:
        weight_MK, bias_M: of all layers.
        product: what multiplies by the weight.
    """
    x_NK = x.reshape(-1, x.shape[-1])
    matrices: dict[int, Tensor] = {}
    ranks: dict[int, slice] = {}
    parts, ups = [], []
    output = rank = 0
    dropout = 0.0
    for layer in layers:
        if isinstance(layer, LoRALinear) and layer.enabled:
            down_RK = layer.lora_A
            if id(down_RK) not in matrices:
                matrices[id(down_RK)], ranks[id(down_RK)] = down_RK, slice(rank, rank + len(down_RK))
                rank += len(down_RK)
            outputs = slice(output, output + layer.out_features)
            parts.append(_Part(outputs, ranks[id(down_RK)], layer.added.scale))
            ups.append(layer.lora_B)
            dropout = layer.dropout if layer.training else 0.0
        output += layer.out_features
    a_RK = torch.cat(list(matrices.values())) if len(matrices) > 1 else next(iter(matrices.values()))
    seen_NK = F.dropout(x_NK, dropout) if dropout else x_NK
    found_NM: Tensor = _Adapted.apply(x_NK, seen_NK, weight_MK, bias_M, a_RK, parts, product, *ups)  # type: ignore[no-untyped-call]
    return found_NM.view(*x.shape[:-1], -1)


class _Adapted(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x_NK: Tensor,
        seen_NK: Tensor,
        weight_MK: Tensor,
        bias_M: Tensor | None,
        a_RK: Tensor,
        parts: Sequence[_Part],
        product: Product,
        *ups_OR: Tensor,
    ) -> Tensor:
        found_NM = product(x_NK, weight_MK, bias_M)
        low_NR = seen_NK @ a_RK.t()
        for (outputs, ranks, scale), b_OR in zip(parts, ups_OR, strict=True):
            found_NM[:, outputs].addmm_(low_NR[:, ranks], b_OR.t(), alpha=scale)
        ctx.save_for_backward(seen_NK, weight_MK, a_RK, low_NR, *ups_OR)
        ctx.parts, ctx.product, ctx.sees_all = parts, product, seen_NK is x_NK
        return found_NM

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        seen_NK, weight_MK, a_RK, low_NR, *ups_OR = ctx.saved_tensors
        by_output_NM = gradients[0].contiguous()
        by_low_NR, by_ups = torch.zeros_like(low_NR), []
        for (outputs, ranks, scale), b_OR in zip(ctx.parts, ups_OR, strict=True):
            by_part_NO = by_output_NM[:, outputs]
            by_low_NR[:, ranks].addmm_(by_part_NO, b_OR, alpha=scale)
            by_ups.append((by_part_NO.t() @ low_NR[:, ranks]).mul_(scale))
        by_x_NK = by_seen_NK = None
        if ctx.needs_input_grad[0]:
            by_x_NK = ctx.product(by_output_NM, weight_MK.t())
            if ctx.sees_all:
                by_x_NK.addmm_(by_low_NR, a_RK)
            else:
                by_seen_NK = by_low_NR @ a_RK
        return by_x_NK, by_seen_NK, None, None, by_low_NR.t() @ seen_NK, None, None, *by_ups
