"""Positions: rotary embedding (RoPE, Su et al. 2021, arXiv:2104.09864) and its scalings.

Letters in names: T tokens, H heads, D size of a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from evalharness.stack.config import LinearScaling, Llama3Scaling, RopeScaling

Rotation = tuple[Tensor, Tensor]
"""Cosines, and sines with the sign of the other number of a pair, each of shape [T, 1, D] (the 1 is the heads')."""


def rotary_frequencies(head_dim: int, theta: float, scaling: RopeScaling | None = None) -> Tensor:
    """Angles by which each pair of a head turns from one position to the next: ``theta^(-2i/D)``, scaled.

    Returns fp32 of shape [D/2], in radians a token, on the CPU even below a ``torch.device`` context.
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device="cpu") / head_dim
    frequencies = 1.0 / theta**exponents
    match scaling:
        case None:
            return frequencies
        case LinearScaling(factor=factor):
            return frequencies / factor
        case Llama3Scaling():
            return frequencies / llama3_divisors(frequencies, scaling)


def llama3_divisors(frequencies: Tensor, scaling: Llama3Scaling) -> Tensor:
    """What Llama 3.1 divides each frequency by: 1 for fast rotations, `factor` for slow ones, a blend between.

    With ``turns = original_length * frequency / 2 pi`` and ``s = (turns - low) / (high - low)`` cut to [0, 1]:
    ``frequency / divisor = (1 - s) * frequency / factor + s * frequency``.
    """
    turns = scaling.original_length * frequencies / (2 * math.pi)
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return 1.0 / ((1 - kept) / scaling.factor + kept)


def rotation(positions_T: Tensor, frequencies: Tensor, dtype: torch.dtype) -> Rotation:
    """Cosines and sines of the angles at the positions; computed in fp32, returned in `dtype`."""
    angles = positions_T.float()[:, None, None] * frequencies.to(positions_T.device)
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def rotate(x_THD: Tensor, by: Rotation) -> Tensor:
    """Turn the pairs ``(x[i], x[i + D/2])`` of every head (the layout of Hugging Face's checkpoints)."""
    cos, sin = by
    others_THD = x_THD.view(*x_THD.shape[:-1], 2, -1).flip(-2).view(x_THD.shape)
    return x_THD * cos + others_THD * sin
