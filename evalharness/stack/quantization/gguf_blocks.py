"""Unpacks the block formats of GGUF files to fp32, vectorised over blocks.

Each function takes the bytes of N blocks, a uint8 tensor [N, bytes of a block], and returns fp32 [N, numbers of a
block]. Layouts: ggml's ``ggml-common.h`` (the structs ``block_q4_0`` to ``block_q6_K``). Legacy formats have 32
numbers a block and one scale; the K formats have 256 numbers in 8 or 16 groups, each with a scale of few bits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def dequantize(packed: Tensor, kind: str, block_size: int) -> Tensor:
    """Packed bytes (uint8, flat) to fp32, flat. `kind` is a name of `DEQUANTIZERS`, `block_size` its bytes."""
    return DEQUANTIZERS[kind](packed.view(-1, block_size)).flatten()


def _halves(blocks: Tensor, at: int) -> Tensor:
    """The fp16 number at byte `at` of each block, as fp32 [N, 1]."""
    return blocks[:, at : at + 2].contiguous().view(torch.float16).float()


def _nibbles(packed: Tensor) -> Tensor:
    """Low nibbles of all bytes, then the high ones: [..., B] to [..., 2B]."""
    return torch.cat((packed & 0x0F, packed >> 4), dim=-1)


def _crumbs(packed: Tensor) -> Tensor:
    """The four 2-bit fields of each byte, lowest first: [..., B] to [..., 4, B]."""
    return torch.stack([(packed >> shift) & 3 for shift in (0, 2, 4, 6)], dim=-2)


def _bits(packed: Tensor) -> Tensor:
    """The eight bits of each byte, lowest first: [..., B] to [..., 8, B]."""
    return torch.stack([(packed >> shift) & 1 for shift in range(8)], dim=-2)


# --------------------------------------------------------------------------- plain numbers


def f32(blocks: Tensor) -> Tensor:
    return blocks.view(torch.float32)


def f16(blocks: Tensor) -> Tensor:
    return blocks.view(torch.float16).float()


def bf16(blocks: Tensor) -> Tensor:
    return blocks.view(torch.bfloat16).float()


# --------------------------------------------------------------------------- legacy formats: 32 numbers a block


def q4_0(blocks: Tensor) -> Tensor:
    """``scale * (q - 8)``: scale, 16 bytes of nibbles."""
    return (_nibbles(blocks[:, 2:]).float() - 8).mul_(_halves(blocks, 0))


def q4_1(blocks: Tensor) -> Tensor:
    """``scale * q + minimum``: scale, minimum, 16 bytes of nibbles."""
    return _nibbles(blocks[:, 4:]).float().mul_(_halves(blocks, 0)).add_(_halves(blocks, 2))


def _fifth_bits(packed: Tensor) -> Tensor:
    """Bit 4 of each of 32 numbers, from 4 bytes: [N, 4] to [N, 32]."""
    return _bits(packed).transpose(1, 2).flatten(1) << 4


def q5_0(blocks: Tensor) -> Tensor:
    """``scale * (q - 16)``: scale, 4 bytes of fifth bits, 16 bytes of nibbles."""
    quants = _nibbles(blocks[:, 6:]) | _fifth_bits(blocks[:, 2:6])
    return (quants.float() - 16).mul_(_halves(blocks, 0))


def q5_1(blocks: Tensor) -> Tensor:
    """``scale * q + minimum``: scale, minimum, 4 bytes of fifth bits, 16 bytes of nibbles."""
    quants = _nibbles(blocks[:, 8:]) | _fifth_bits(blocks[:, 4:8])
    return quants.float().mul_(_halves(blocks, 0)).add_(_halves(blocks, 2))


def q8_0(blocks: Tensor) -> Tensor:
    """``scale * q``: scale, 32 signed bytes."""
    return blocks[:, 2:].view(torch.int8).float().mul_(_halves(blocks, 0))


# --------------------------------------------------------------------------- K formats: 256 numbers a block


def q2_k(blocks: Tensor) -> Tensor:
    """``scale * s * q - minimum * m``: 16 bytes of (m, s) nibbles, 64 bytes of 2-bit numbers, scale, minimum."""
    scales = _halves(blocks, 80) * (blocks[:, :16] & 0x0F)
    minima = _halves(blocks, 82) * (blocks[:, :16] >> 4)
    quants = _crumbs(blocks[:, 16:80].reshape(-1, 2, 32)).reshape(-1, 16, 16)
    return quants.float().mul_(scales[..., None]).sub_(minima[..., None]).flatten(1)


def q3_k(blocks: Tensor) -> Tensor:
    """``scale * (s - 32) * (q - 4)``: 32 bytes of third bits, 64 bytes of 2-bit numbers, 12 bytes of 6-bit s, scale."""
    thirds = _bits(blocks[:, :32]).reshape(-1, 16, 16) << 2
    quants = _crumbs(blocks[:, 32:96].reshape(-1, 2, 32)).reshape(-1, 16, 16) | thirds
    low = _nibbles(blocks[:, 96:104])
    high = _crumbs(blocks[:, 104:108]).flatten(1)
    scales = _halves(blocks, 108) * ((low | (high << 4)).float() - 32)
    return (quants.float() - 4).mul_(scales[..., None]).flatten(1)


def _scales_and_minima(packed: Tensor) -> tuple[Tensor, Tensor]:
    """Eight 6-bit scales and eight 6-bit minima from 12 bytes: [N, 12] to two of [N, 8].

    Bytes 0-3 hold the first four scales and, in their top two bits, the top of the last four; bytes 4-7 the same
    for the minima; bytes 8-11 the low nibbles of the last four scales (low) and minima (high).
    """
    scales, minima, rest = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    return (
        torch.cat((scales & 63, (rest & 0x0F) | ((scales >> 6) << 4)), dim=1),
        torch.cat((minima & 63, (rest >> 4) | ((minima >> 6) << 4)), dim=1),
    )


def _affine_k(blocks: Tensor, quants: Tensor) -> Tensor:
    """``scale * s * q - minimum * m`` for 8 groups of 32; both formats begin scale, minimum, 12 bytes of s and m."""
    scales, minima = _scales_and_minima(blocks[:, 4:16])
    scales, minima = _halves(blocks, 0) * scales, _halves(blocks, 2) * minima
    return quants.float().mul_(scales[..., None]).sub_(minima[..., None]).flatten(1)


def q4_k(blocks: Tensor) -> Tensor:
    """As `_affine_k`: then 128 bytes of nibbles, 32 bytes for two groups."""
    return _affine_k(blocks, _nibbles(blocks[:, 16:].reshape(-1, 4, 32)).reshape(-1, 8, 32))


def q5_k(blocks: Tensor) -> Tensor:
    """As `_affine_k`: then 32 bytes of fifth bits, 128 bytes of nibbles, 32 bytes for two groups."""
    low = _nibbles(blocks[:, 48:].reshape(-1, 4, 32)).reshape(-1, 8, 32)
    return _affine_k(blocks, low | (_bits(blocks[:, 16:48]) << 4))


def q6_k(blocks: Tensor) -> Tensor:
    """``scale * s * (q - 32)``: 128 bytes of low nibbles, 64 bytes of high 2 bits, 16 signed bytes s, scale."""
    low = _nibbles(blocks[:, :128].reshape(-1, 2, 64)).reshape(-1, 16, 16)
    high = _crumbs(blocks[:, 128:192].reshape(-1, 2, 32)).reshape(-1, 16, 16)
    scales = _halves(blocks, 208) * blocks[:, 192:208].view(torch.int8)
    return ((low | (high << 4)).float() - 32).mul_(scales[..., None]).flatten(1)


DEQUANTIZERS: dict[str, Callable[[Tensor], Tensor]] = {
    "F32": f32,
    "F16": f16,
    "BF16": bf16,
    "Q4_0": q4_0,
    "Q4_1": q4_1,
    "Q5_0": q5_0,
    "Q5_1": q5_1,
    "Q8_0": q8_0,
    "Q2_K": q2_k,
    "Q3_K": q3_k,
    "Q4_K": q4_k,
    "Q5_K": q5_k,
    "Q6_K": q6_k,
}
"""Name of a format to the function that unpacks it."""
