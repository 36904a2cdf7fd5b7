"""Matrix products of a training step on a processor, by the faster of the two libraries that torch brings.

In fp32 on AMD's processors oneDNN computes outputs and input gradients of linear layers 1.1 to 1.5 times as fast as
MKL, which torch takes; MKL computes weight gradients faster (benchmarks/training/products.py). Both add in a fixed
order, so equal inputs give equal bits at equal numbers of threads.
Letters: N rows, K inputs, M outputs of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from evalharness.stack.layers.linear import SideBySide, pays, product, rows_times
from evalharness.stack.layers.lora import LoRALinear
from evalharness.stack.training.adapted_products import adapted, can_adapt


def linear(x: Tensor, weight_MK: Tensor, bias_M: Tensor | None = None) -> Tensor:
    """``x W^T + b`` as `F.linear`, [..., M], with a gradient; x is [..., K]."""
    if not pays(x.reshape(-1, x.shape[-1]), weight_MK.shape[0]) or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight_MK, bias_M)
    found: Tensor = _Linear.apply(x, weight_MK, bias_M)  # type: ignore[no-untyped-call]
    return found


def use_fast_products(model: nn.Module) -> None:
    """Let every `nn.Linear` and `SideBySide` of a model compute by `linear`, in place; the parameters stay theirs.

    Layers side by side become one product: of their weights one after another, which are far smaller than the outputs
    that would be put together otherwise. Weights that are not trained are laid so in memory, once.
    """
    for module in model.modules():
        if isinstance(module, SideBySide):
            _lay_together([layer.weight for layer in _layers(module)])
            module.forward = partial(_side_by_side, module)  # type: ignore[method-assign]
        elif isinstance(module, nn.Linear):
            module.forward = partial(_layer, module)  # type: ignore[method-assign]


def use_plain_products(model: nn.Module) -> None:
    """Undo `use_fast_products`, in place."""
    for module in model.modules():
        if isinstance(module, SideBySide | nn.Linear):
            vars(module).pop("forward", None)


def _layer(layer: nn.Linear, x: Tensor) -> Tensor:
    return _together([layer], x)


def _side_by_side(layers: SideBySide, x: Tensor) -> Tensor:
    return _together(_layers(layers), x)


def _layers(layers: SideBySide) -> list[nn.Linear]:
    return [layer for layer in layers.children() if isinstance(layer, nn.Linear)]


def _together(layers: Sequence[nn.Linear], x: Tensor) -> Tensor:
    if not any(isinstance(layer, LoRALinear) and layer.enabled for layer in layers):
        return linear(x, *_one_layer(layers))
    if can_adapt(layers, x):
        return adapted(layers, x, *_one_layer(layers), rows_times)
    return torch.cat([type(layer).forward(layer, x) for layer in layers], dim=-1)


def _one_layer(layers: Sequence[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """The weight and the bias of all of them, one after another."""
    biases: list[Tensor] = [layer.bias for layer in layers if layer.bias is not None]
    return _one_matrix([layer.weight for layer in layers]), torch.cat(biases) if biases else None


def _lay_together(weights: Sequence[Tensor]) -> None:
    if not any(weight.requires_grad for weight in weights):
        together = torch.cat([weight.detach() for weight in weights])
        for weight, rows in zip(weights, torch.split(together, [len(weight) for weight in weights]), strict=True):
            weight.data = rows


def _one_matrix(weights: Sequence[Tensor]) -> Tensor:
    """The rows of all of them; without a copy where they lie together."""
    first = weights[0]
    if len(weights) == 1:
        return first
    if any(weight.requires_grad for weight in weights) or not all(map(_follows, weights, weights[1:])):
        return torch.cat(list(weights))
    return first.as_strided((sum(map(len, weights)), first.shape[1]), first.stride())


def _follows(before: Tensor, after: Tensor) -> bool:
    """Whether a matrix begins where the one before ends."""
    same = before.untyped_storage().data_ptr() == after.untyped_storage().data_ptr()
    return same and after.data_ptr() == before.data_ptr() + before.nbytes


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
