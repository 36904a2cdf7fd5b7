"""Weights in eight bits, one scale for each row.

Letters: N rows, which are outputs, K columns, which are inputs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

LARGEST = 127
"""Largest absolute number: -128 stays unused, so that a weight and its negative are both there."""
MOST_COLUMNS = 2**16
"""Columns up to which a sum of products of 255 and `LARGEST` is a whole number of 32 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Int8Weight:
    """Weight ``numbers * scale`` of its row."""

    numbers_NK: Tensor
    """If `native`, what oneDNN's product of whole numbers wants, which has the shape [K, N]."""
    scales_N: Tensor
    """In bf16, which torch's kernels for processors take; if `native`, the same numbers in fp32."""
    native: bool = False

    @property
    def outputs(self) -> int:
        return len(self.scales_N)

    @property
    def columns(self) -> int:
        return self.numbers_NK.shape[0 if self.native else 1]

    @property
    def bytes(self) -> int:
        return self.numbers_NK.nbytes + self.scales_N.nbytes

    def dequantized(self, dtype: torch.dtype, rows: slice | Tensor = slice(None)) -> Tensor:
        """Some rows as numbers of another format, [rows, K]; not of a native weight."""
        return self.numbers_NK[rows].to(dtype) * self.scales_N[rows, None].to(dtype)

    def put(self, first: int, rows: Int8Weight) -> None:
        """Write some rows, from row `first` on; neither weight may be native."""
        here = slice(first, first + rows.outputs)
        self.numbers_NK[here], self.scales_N[here] = rows.numbers_NK, rows.scales_N

    def to(self, device: torch.device) -> Int8Weight:
        """On another device; not of a native weight."""
        return Int8Weight(self.numbers_NK.to(device), self.scales_N.to(device))


def room(outputs: int, columns: int) -> Int8Weight:
    """A weight to `put` rows into."""
    return Int8Weight(torch.empty(outputs, columns, dtype=torch.int8), torch.empty(outputs, dtype=torch.bfloat16))


def quantize(weight_NK: Tensor) -> Int8Weight:
    """The nearest multiples of ``max |w| / 127`` of each row, symmetric and without a zero point."""
    # The scale is rounded before the numbers are, so that they make up for it.
    wide = weight_NK.detach().float()
    largest_N = wide.abs().amax(1) if weight_NK.shape[1] else wide.new_zeros(len(wide))
    scales_N = (largest_N / LARGEST).to(torch.bfloat16)
    steps = wide / scales_N.float().clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    return Int8Weight(steps.round_().clamp_(-LARGEST, LARGEST).to(torch.int8), scales_N)


def for_processor(weight: Int8Weight) -> Int8Weight:
    """The same weight as oneDNN wants it; as it is where whole numbers are not multiplied, or it was so already."""
    if weight.native or not takes_whole_numbers(weight):
        return weight
    packed = torch.ops.onednn.qlinear_prepack(weight.numbers_NK, None)
    return Int8Weight(packed, weight.scales_N.float(), native=True)


def plain(weight: Int8Weight) -> Int8Weight:
    """The same weight in the layout of this module."""
    if not weight.native:
        return weight
    return Int8Weight(weight.numbers_NK.to_dense().T.contiguous(), weight.scales_N.bfloat16())


def takes_whole_numbers(weight: Int8Weight) -> bool:
    """Whether the product is one of whole numbers here."""
    fits = weight.numbers_NK.numel() > 0 and weight.columns <= MOST_COLUMNS
    return fits and weight.scales_N.device.type == "cpu" and _whole_numbers_known()


@cache
def _whole_numbers_known() -> bool:
    """Whether this torch and processor multiply whole numbers without losing any, by both of torch's ways.

    Processors without VNNI add pairs of products in 16 bits, which cuts the largest off.
    """
    if sys.byteorder != "little" or not hasattr(torch.ops.onednn, "qlinear_prepack"):
        return False
    if not getattr(torch.cpu, "_is_vnni_supported", bool)():
        return False
    numbers_NK = torch.full((16, 64), LARGEST, dtype=torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(numbers_NK, None)
    one, zero = torch.ones(1), torch.zeros(1, dtype=torch.int32)
    digits_MK = torch.full((2, 64), 255, dtype=torch.uint8)
    product = torch.ops.onednn.qlinear_pointwise(
        digits_MK, 1.0, 128, packed, one, zero, None, 1.0, 0, torch.float32, "none", [], ""
    )
    same = torch.equal(packed.to_dense().T, numbers_NK) and bool((product == 64 * 127 * LARGEST).all())
    return same and bool((torch._int_mm(numbers_NK[:2], numbers_NK.T) == 64 * LARGEST * LARGEST).all())
