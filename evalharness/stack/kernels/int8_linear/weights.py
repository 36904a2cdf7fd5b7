"""Weights in eight bits, one scale for each row.

Letters: N rows, which are outputs, K columns, which are inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST = 127
"""Largest absolute number: -128 stays unused, so that a weight and its negative are both there."""


@dataclass(frozen=True, slots=True, eq=False)
class Int8Weight:
    """Weight ``numbers * scale`` of its row."""

    numbers_NK: Tensor
    scales_N: Tensor
    """In bf16, which torch's kernels for processors take."""

    def dequantized(self, dtype: torch.dtype, rows: slice = slice(None)) -> Tensor:
        """Some rows as numbers of another format, [rows, K]."""
        return self.numbers_NK[rows].to(dtype) * self.scales_N[rows, None].to(dtype)

    @property
    def bytes(self) -> int:
        return self.numbers_NK.nbytes + self.scales_N.nbytes


def quantize(weight_NK: Tensor) -> Int8Weight:
    """The nearest multiples of ``max |w| / 127`` of each row, symmetric and without a zero point."""
    # The scale is rounded before the numbers are, so that they make up for it.
    wide = weight_NK.detach().float()
    largest_N = wide.abs().amax(1) if weight_NK.shape[1] else wide.new_zeros(len(wide))
    scales_N = (largest_N / LARGEST).to(torch.bfloat16)
    steps = wide / scales_N.float().clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    return Int8Weight(steps.round_().clamp_(-LARGEST, LARGEST).to(torch.int8), scales_N)
