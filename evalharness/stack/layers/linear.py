"""Linear layers whose weights lie as the processor's matrix products want them.

oneDNN's product with a weight that was reordered once is about twice as fast as MKL's with a plain one at 1 to 64
rows and a tenth faster at 1,024 (benchmarks/engine/linear.py), and a row's bits do not depend on the other rows; in
bf16 on AMX they do, and `exact` takes blocks of 64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.kernels.exact_linear import OP as EXACT_LINEAR
from evalharness.stack.kernels.exact_linear import exact_linear
from evalharness.stack.kernels.op import exactly, in_exact
from evalharness.stack.kernels.tiles import follows_rows, in_blocks
from evalharness.stack.layers.lora import effective_weight

SMALLEST = 2**23
"""Multiplications of a product from which on oneDNN's is faster; below, its preparation takes longer than it saves."""


class SideBySide(nn.Module):
    """Linear layers of one input, by name; their outputs one after another in the last axis.

    `pack` makes one layer of them, which needs one product instead of several small ones.
    """

    def __init__(self, **layers: nn.Linear) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([layer(x) for layer in self.children()], dim=-1)


class ExactLinear(nn.Module):
    """``x W^T + b`` whose rows have the same bits whatever rows are computed beside them, on a GPU too.

    For inference only. The weight may be of narrower numbers than x: the vocabulary's is, as logits are fp32.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = weight
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        return exact_linear(x, self.weight, self.bias)


class PackedLinear(nn.Module):
    """``x W^T + b`` with W reordered for the processor; for inference only, in the dtype of the weight."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)
        self._bias = bias

    def forward(self, x: Tensor) -> Tensor:
        if in_exact() and follows_rows(x.dtype):
            return in_blocks(x, lambda part: product(part, self._packed, self._bias))
        return product(x, self._packed, self._bias)


def product(x_MK: Tensor, weight_NK: Tensor, bias_N: Tensor | None = None) -> Tensor:
    """``x W^T + b`` by oneDNN, [M, N]; where `can_pack` says so.

    torch's own products of fp32 numbers are MKL's, which on AMD's processors reach 40 % of what oneDNN's do.
    """
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x_MK, weight_NK, bias_N, "none", [], "")
    return found


def rows_times(x_NK: Tensor, weight_MK: Tensor, bias_M: Tensor | None = None) -> Tensor:
    """``x W^T + b``, [N, M], without a gradient, by the faster of the two libraries."""
    if pays(x_NK, weight_MK.shape[0]):
        return product(x_NK, weight_MK, bias_M)
    return F.linear(x_NK, weight_MK, bias_M)


def pays(x_NK: Tensor, outputs: int) -> bool:
    """Whether `product` is the faster one for so many outputs."""
    return x_NK.dtype == torch.float32 and x_NK.numel() * outputs >= SMALLEST and can_pack(x_NK.device, x_NK.dtype)


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether this build of torch has oneDNN's product for a processor and these numbers."""
    usable = device.type == "cpu" and dtype in (torch.float32, torch.bfloat16)
    return usable and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")


def rows_stand_alone(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether `exact` takes `ExactLinear` here: on a GPU, and where Triton is told to compute.

    Raises:
        KernelError: it would have to, and Triton cannot compute here.
    """
    with exactly():
        return EXACT_LINEAR.choose(device, dtype, 0) == "triton"


def pack(model: nn.Module, make: Callable[[Tensor, Tensor | None], nn.Module] = PackedLinear) -> None:
    """Replace every `nn.Linear` and `SideBySide` below a model, in place, with their adapters; the plain weights go.

    `make` makes what takes their place, of a weight [outputs, inputs] and a bias.
    """
    for name, child in list(model.named_children()):
        if isinstance(child, nn.Linear | SideBySide):
            layers = [layer for layer in child.modules() if isinstance(layer, nn.Linear)]
            weight = torch.cat([effective_weight(layer).detach() for layer in layers])
            biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
            setattr(model, name, make(weight, torch.cat(biases) if biases else None))
        else:
            pack(child, make)
