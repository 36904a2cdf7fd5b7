"""Matrix products of a training step on a processor, by the faster of the two libraries that torch brings.

In fp32 on AMD's processors oneDNN computes outputs and input gradients of linear layers 1.1 to 1.5 times as fast as
MKL, which torch takes; MKL computes weight gradients faster (benchmarks/training/products.py). Both add in a fixed
order, so equal inputs give equal bits at equal numbers of threads.
Letters: N rows, K inputs, M outputs of a layer.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from evalharness.stack.layers.linear import SideBySide, can_pack, product

SMALLEST = 2**23
"""Multiplications of a product from which on oneDNN's is faster; below, its preparation takes longer than it saves."""


def rows_times(x_NK: Tensor, weight_MK: Tensor, bias_M: Tensor | None = None) -> Tensor:
    """``x W^T + b``, [N, M], without a gradient."""
    if _pays(x_NK, weight_MK.shape[0]):
        return product(x_NK, weight_MK, bias_M)
    return F.linear(x_NK, weight_MK, bias_M)


def linear(x: Tensor, weight_MK: Tensor, bias_M: Tensor | None = None) -> Tensor:
    """``x W^T + b`` as `F.linear`, [..., M], with a gradient; x is [..., K]."""
    if not _pays(x.reshape(-1, x.shape[-1]), weight_MK.shape[0]) or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight_MK, bias_M)
    found: Tensor = _Linear.apply(x, weight_MK, bias_M)  # type: ignore[no-untyped-call]
    return found


def use_fast_products(model: nn.Module) -> None:
    """Let every `nn.Linear` and `SideBySide` of a model compute by `linear`, in place; the parameters stay theirs.

    Layers side by side become one product: of their weights one after another, which are far smaller than the outputs
    that would be put together otherwise.
    """
    for module in model.modules():
        if isinstance(module, SideBySide):
            module.forward = partial(_side_by_side, module)  # type: ignore[method-assign]
        elif isinstance(module, nn.Linear):
            module.forward = partial(_layer, module)  # type: ignore[method-assign]


def _layer(layer: nn.Linear, x: Tensor) -> Tensor:
    return linear(x, layer.weight, layer.bias)


def _side_by_side(layers: SideBySide, x: Tensor) -> Tensor:
    parts = [layer for layer in layers.children() if isinstance(layer, nn.Linear)]
    weights: list[Tensor] = [layer.weight for layer in parts]
    biases: list[Tensor] = [layer.bias for layer in parts if layer.bias is not None]
    return linear(x, torch.cat(weights), torch.cat(biases) if biases else None)


def _pays(x_NK: Tensor, outputs: int) -> bool:
    return x_NK.dtype == torch.float32 and x_NK.numel() * outputs >= SMALLEST and can_pack(x_NK.device, x_NK.dtype)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_MK: Tensor, bias_M: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight_MK)
        return product(x, weight_MK, bias_M)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight_MK = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        gradient_NM = gradient.view(-1, gradient.shape[-1])
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        return (
            product(gradient, weight_MK.t()) if wants_x else None,
            gradient_NM.t() @ x.reshape(-1, x.shape[-1]) if wants_weight else None,
            gradient_NM.sum(0) if wants_bias else None,
        )
