"""A program for a block of a parameter: four reads and three writes of each number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from evalharness.stack.kernels.launching import on_device_of

BLOCK = 1024


@triton.jit
def _step(
    parameter, gradient, mean, square, count, kept, rate, beta1, beta2, correction, epsilon, BLOCK: tl.constexpr
):  # fmt: skip
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < count
    p = tl.load(parameter + place, inside, 0.0).to(tl.float32)
    g = tl.load(gradient + place, inside, 0.0).to(tl.float32)
    m = tl.load(mean + place, inside, 0.0).to(tl.float32)
    v = tl.load(square + place, inside, 0.0).to(tl.float32)
    m += (1 - beta1) * (g - m)
    v += (1 - beta2) * (g * g - v)
    p = kept * p - rate * m / (tl.sqrt(v * correction) + epsilon)
    tl.store(parameter + place, p, inside)
    tl.store(mean + place, m, inside)
    tl.store(square + place, v, inside)


@torch.no_grad()
def adamw(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    means: Sequence[Tensor],
    squares: Sequence[Tensor],
    *,
    step: int,
    rate: float,
    betas: tuple[float, float],
    epsilon: float,
    decay: float,
) -> None:
    beta1, beta2 = betas
    corrected, correction = rate / (1 - beta1**step), 1 / (1 - beta2**step)
    for given in zip(parameters, gradients, means, squares, strict=True):
        # All four are walked through in the order of memory, which must be one and the same for them.
        parts = [part if part.is_contiguous() else part.contiguous() for part in given]
        count = parts[0].numel()
        if count:
            with on_device_of(parts[0]):
                _step[(triton.cdiv(count, BLOCK),)](
                    *parts, count, 1 - rate * decay, corrected, beta1, beta2, correction, epsilon, BLOCK=BLOCK
                )
        for part, changed in ((given[at], parts[at]) for at in (0, 2, 3)):
            if changed is not part:
                part.copy_(changed)
