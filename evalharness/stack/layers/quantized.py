"""Layers with weights in eight or four bits, for inference only; what comes in and goes out keeps its type of numbers.

The vocabulary has eight bits in both kinds: bf16, which products of four bits give, would let logits tie.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from evalharness.stack.kernels import int4_linear as int4
from evalharness.stack.kernels import int8_linear as int8
from evalharness.stack.kernels.int4_linear import Int4Weight
from evalharness.stack.kernels.int8_linear import Int8Weight
from evalharness.stack.quantization.kinds import GROUP, Weights


class Int8Linear(nn.Module):
    """``x W^T + b``."""

    def __init__(self, weight: Int8Weight, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.outputs, weight.columns
        self.quantized = weight
        self._bias = bias

    def forward(self, x: Tensor) -> Tensor:
        return int8.int8_linear(x, self.quantized, self._bias)


class Int4Linear(nn.Module):
    """``x W^T + b``, the product in bf16, for which torch has a fast kernel."""

    def __init__(self, weight: Int4Weight, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.outputs, weight.columns
        self.quantized = weight
        self._bias = bias

    def forward(self, x: Tensor) -> Tensor:
        product = int4.int4_linear(x.bfloat16(), self.quantized).to(x.dtype)
        return product if self._bias is None else product + self._bias


class Int8Embedding(nn.Module):
    """Rows of a weight, which the vocabulary may share."""

    def __init__(self, weight: Int8Weight, dtype: torch.dtype) -> None:
        super().__init__()
        self.quantized = weight
        self.weight = torch.empty(0, weight.columns, dtype=dtype, device=weight.scales_N.device)
        """No rows: what the model computes in, and where."""

    def forward(self, ids: Tensor) -> Tensor:
        return self.quantized.dequantized(self.weight.dtype, ids.flatten()).view(*ids.shape, -1)


class Filling:
    """A quantised weight whose rows come one after another; laid out for its device when all are there.

    `shared` weights are read row by row as well, and stay as they are.
    """

    def __init__(
        self, outputs: int, columns: int, kind: Weights, device: torch.device, *, shared: bool = False
    ) -> None:
        self.outputs, self.columns = outputs, columns
        self._weight = int8.room(outputs, columns) if kind == "int8" else int4.room(outputs, columns, GROUP)
        self._device, self._shared, self._missing = device, shared, outputs

    def put(self, first: int, rows: Tensor) -> None:
        """Quantise some rows, from row `first` on."""
        if isinstance(self._weight, Int8Weight):
            self._weight.put(first, int8.quantize(rows))
        else:
            # From the least weight of a group to its largest: finer than steps that are alike on both sides of zero.
            self._weight.put(first, int4.quantize(rows, GROUP, symmetric=False))
        self._missing -= len(rows)
        if not self._missing:
            self._weight = self._weight.to(self._device) if self._shared else _laid_out(self._weight, self._device)

    def layer(self, bias: Tensor | None) -> Int8Linear | Int4Linear:
        """What multiplies by it."""
        if isinstance(self._weight, Int8Weight):
            return Int8Linear(self._weight, bias)
        return Int4Linear(self._weight, bias)

    def embedding(self, dtype: torch.dtype) -> Int8Embedding:
        """What hands its rows out; of a shared weight of eight bits."""
        assert isinstance(self._weight, Int8Weight)
        return Int8Embedding(self._weight, dtype)


def _laid_out(weight: Int8Weight | Int4Weight, device: torch.device) -> Int8Weight | Int4Weight:
    there = weight.to(device)
    return int8.for_processor(there) if isinstance(there, Int8Weight) else int4.for_processor(there, in_place=True)
