"""Weights in four bits, two to a byte, with a scale and a zero for each group of columns.

Letters: N rows, which are outputs, K columns, which are inputs, S groups of a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

GROUPS = (32, 64, 128, 256)
"""Columns of a group, as torch's kernels have them."""
MIDDLE = 8
NATIVE_ROWS = 64
"""Rows that torch's layout for processors with AVX-512 puts side by side."""

CONVERTED_ROWS = 4 * NATIVE_ROWS
"""Rows that are put into that layout at a time, as they are four bytes a number on the way."""


@dataclass(frozen=True, slots=True, eq=False)
class Int4Weight:
    """Weight ``(number - 8) * scale + zero`` of its group, the number from 0 to 15."""

    packed_NB: Tensor
    """Byte b of a group of g holds number b in its low half and number b + g/2 in its high one, or, if `native`, what
    torch's kernel for processors wants."""
    scales_zeros_SN2: Tensor
    """In bf16."""
    group: int
    columns: int
    """K; the last group is filled up to its size."""
    native: bool = False

    @property
    def outputs(self) -> int:
        return len(self.packed_NB)

    @property
    def bytes(self) -> int:
        return self.packed_NB.nbytes + self.scales_zeros_SN2.nbytes

    def put(self, first: int, rows: Int4Weight) -> None:
        """Write some rows, from row `first` on; neither weight may be native."""
        here = slice(first, first + rows.outputs)
        self.packed_NB[here], self.scales_zeros_SN2[:, here] = rows.packed_NB, rows.scales_zeros_SN2

    def to(self, device: torch.device) -> Int4Weight:
        """On another device; not of a native weight."""
        return replace(self, packed_NB=self.packed_NB.to(device), scales_zeros_SN2=self.scales_zeros_SN2.to(device))

    def numbers(self, rows: slice = slice(None)) -> Tensor:
        """From 0 to 15, uint8 [rows, S * group]; a native weight is cut at multiples of 64 rows only."""
        packed = self.packed_NB[rows]
        if self.native:
            return _native_numbers(packed)
        halves = torch.stack((packed & 15, packed >> 4))
        by_group = halves.view(2, len(packed), -1, self.group // 2).permute(1, 2, 0, 3)
        return by_group.reshape(len(packed), -1)

    def transposed(self, dtype: torch.dtype, rows: slice = slice(None)) -> Tensor:
        """Some rows of a native weight as its layout has them, with no copy in another order: [rows / 64, S g, 64]."""
        packed = self.packed_NB[rows]
        groups = len(self.scales_zeros_SN2)
        by_block = _by_block(packed).to(dtype).sub_(MIDDLE).view(-1, groups, self.group, NATIVE_ROWS)
        scales_zeros = self.scales_zeros_SN2[:, rows].to(dtype).view(groups, -1, 1, NATIVE_ROWS, 2)
        scales, zeros = scales_zeros.permute(4, 1, 0, 2, 3).contiguous()
        return by_block.mul_(scales).add_(zeros).flatten(1, 2)

    def dequantized(self, dtype: torch.dtype, rows: slice = slice(None)) -> Tensor:
        """Some rows as numbers of another format, [rows, K]."""
        scales, zeros = self.scales_zeros_SN2[:, rows].to(dtype).permute(2, 1, 0)[..., None]
        numbers = self.numbers(rows).to(dtype).sub_(MIDDLE)
        numbers = numbers.view(*scales.shape[:2], self.group)
        weights: Tensor = (numbers * scales + zeros).flatten(1)
        return weights[:, : self.columns]


def room(outputs: int, columns: int, group: int = 64) -> Int4Weight:
    """A weight to `put` rows into."""
    groups = -(-columns // group)
    packed = torch.empty(outputs, groups * group // 2, dtype=torch.uint8)
    return Int4Weight(packed, torch.empty(groups, outputs, 2, dtype=torch.bfloat16), group, columns)


def quantize(weight_NK: Tensor, group: int = 64, *, symmetric: bool = True) -> Int4Weight:
    """The nearest of 16 numbers for each weight: multiples of ``max |w| / 7`` of the group, or from its least weight to
    its largest in 15 steps if not `symmetric`.

    Raises:
        ValueError: no kernel has groups of this size.
    """
    if group not in GROUPS:
        raise ValueError(f"four-bit weights have groups of {', '.join(map(str, GROUPS))} columns, not of {group}")
    columns = weight_NK.shape[1]
    wide = weight_NK.detach().float()
    # The last group is filled with a number of its own, which leaves its range as it is.
    missing = -columns % group
    if missing:
        wide = torch.cat((wide, wide[:, -1:].expand(-1, missing)), 1)
    wide_NSg = wide.view(len(wide), (columns + missing) // group, group)
    if symmetric:
        scales_NS = (wide_NSg.abs().amax(-1) / 7).bfloat16() if columns else wide.new_zeros(len(wide), 0).bfloat16()
        zeros_NS = torch.zeros_like(scales_NS)
    else:
        least_NS, most_NS = (wide_NSg.aminmax(dim=-1)) if columns else (wide.new_zeros(len(wide), 0),) * 2
        scales_NS = ((most_NS - least_NS) / 15).bfloat16()
        zeros_NS = (least_NS + MIDDLE * scales_NS.float()).bfloat16()
    # Scales and zeros are rounded before the numbers are, so that they make up for it.
    steps_NSg = (wide_NSg - zeros_NS.float()[..., None]) / scales_NS.float().clamp(min=torch.finfo(torch.float32).tiny)[
        ..., None
    ]
    numbers_NK = (steps_NSg.round_() + MIDDLE).clamp_(0, 15).to(torch.uint8).flatten(1)
    scales_zeros_SN2 = torch.stack((scales_NS.T, zeros_NS.T), -1).contiguous()
    return Int4Weight(_packed(numbers_NK, group), scales_zeros_SN2, group, columns)


def for_processor(weight: Int4Weight, *, in_place: bool = False) -> Int4Weight:
    """The same weight in the layout of torch's kernel in place of the other; as it is where there is no such kernel.

    With `in_place` it takes the memory of the weight that is given, which is of no use after.
    """
    fits = weight.outputs % NATIVE_ROWS == 0 and weight.packed_NB.numel() > 0
    if weight.native or not fits or weight.packed_NB.device.type != "cpu" or not _native_known():
        return weight
    packed_NB = weight.packed_NB if in_place else torch.empty_like(weight.packed_NB)
    for begin in range(0, weight.outputs, CONVERTED_ROWS):
        rows = slice(begin, begin + CONVERTED_ROWS)
        packed_NB[rows] = torch.ops.aten._convert_weight_to_int4pack_for_cpu(weight.numbers(rows).int(), 1)
    return replace(weight, packed_NB=packed_NB, native=True)


def plain(weight: Int4Weight) -> Int4Weight:
    """The same weight in the layout of this module."""
    if not weight.native:
        return weight
    packed = _packed(weight.numbers(), weight.group)
    return Int4Weight(packed, weight.scales_zeros_SN2, weight.group, weight.columns)


def _packed(numbers_NK: Tensor, group: int) -> Tensor:
    low, high = numbers_NK.view(len(numbers_NK), -1, 2, group // 2).unbind(2)
    return (low | high << 4).flatten(1).contiguous()


def _native_numbers(packed: Tensor) -> Tensor:
    """64 rows lie side by side, column by column: byte d of 32 has rows d and d + 32 of them."""
    return _by_block(packed).transpose(1, 2).reshape(len(packed), -1)


def _by_block(packed: Tensor) -> Tensor:
    """Numbers of a native weight in their order there, [N / 64, K, 64]."""
    halves = packed.view(-1, packed.shape[1] * 2, NATIVE_ROWS // 2)
    return torch.cat((halves & 15, halves >> 4), 2)


@cache
def _native_known() -> bool:
    """Whether this torch and processor have the kernel, and the layout that `_native_numbers` reads."""
    if not hasattr(torch.ops.aten, "_weight_int4pack_mm_for_cpu"):
        return False
    numbers = torch.arange(NATIVE_ROWS * 32, dtype=torch.int32).view(NATIVE_ROWS, 32) * 7 % 31 % 16
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers, 1)
    return packed.shape == (NATIVE_ROWS, 16) and torch.equal(_native_numbers(packed).int(), numbers)


def padded(x_MK: Tensor, weight: Int4Weight) -> Tensor:
    """Inputs with zeros for the columns that fill the last group."""
    missing = weight.packed_NB.shape[1] * 2 - weight.columns
    return F.pad(x_MK, (0, missing)) if missing else x_MK
