"""Rotary embedding (RoPE, Su et al. 2021, arXiv:2104.09864) and its scalings for long contexts.

Letters in names: T tokens, H heads, D numbers of a head that are turned.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from evalharness.stack.config import LinearScaling, Llama3Scaling, NTKScaling, RopeScaling, YarnScaling


def rotary_frequencies(dim: int, theta: float, scaling: RopeScaling | None = None) -> Tensor:
    """Angles by which each pair turns from one position to the next: ``theta^(-2i/D)``, scaled.

    Returns fp32 of shape [D/2], in radians a token, on the CPU even below a ``torch.device`` context.
    """
    if isinstance(scaling, NTKScaling):
        theta = theta * scaling.factor ** (dim / (dim - 2))
    exponents = torch.arange(0, dim, 2, dtype=torch.float32, device="cpu") / dim
    frequencies = 1.0 / theta**exponents
    match scaling:
        case None | NTKScaling():
            return frequencies
        case LinearScaling(factor=factor):
            return frequencies / factor
        case YarnScaling():
            return frequencies / yarn_divisors(dim, theta, scaling)
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


def yarn_divisors(dim: int, theta: float, scaling: YarnScaling) -> Tensor:
    """What YaRN divides each frequency by; the blend is linear in the number of the pair, between the pairs that turn
    `fast_turns` and `slow_turns` times over the original length, rounded outwards to whole ones."""

    def pair(turns: float) -> float:
        return dim * math.log(scaling.original_length / (turns * 2 * math.pi)) / (2 * math.log(theta))

    first, last = max(math.floor(pair(scaling.fast_turns)), 0), min(math.ceil(pair(scaling.slow_turns)), dim - 1)
    pairs = torch.arange(dim // 2, dtype=torch.float32, device="cpu")
    divided = ((pairs - first) / max(last - first, 1e-3)).clamp(0, 1)
    return 1.0 / (divided / scaling.factor + (1 - divided))


def sharpening(scaling: RopeScaling | None) -> float:
    """What YaRN multiplies queries and keys by: ``0.1 ln(factor) + 1``."""
    return 0.1 * math.log(scaling.factor) + 1 if isinstance(scaling, YarnScaling) and scaling.factor > 1 else 1.0


def rotation(positions_T: Tensor, frequencies: Tensor, dtype: torch.dtype, times: float = 1.0) -> tuple[Tensor, Tensor]:
    """Cosines, and sines with the sign of the other number of a pair, each of shape [T, 1, D] (the 1 is the heads').

    The angles are computed in fp32 and the results returned in `dtype`.
    """
    angles = positions_T.float()[..., None, None] * frequencies.to(positions_T.device)
    cos, sin = (angles.cos() * times).to(dtype), (angles.sin() * times).to(dtype)
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def rotate(x_THD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs ``(x[i], x[i + D/2])`` of every head (the layout of Hugging Face's checkpoints)."""
    return x_THD * cos + x_THD.roll(x_THD.shape[-1] // 2, -1) * sin
