"""What the launches of all Triton kernels have in common; imports Triton."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

# Multiplications and additions are fused whatever the release: the default changes with Triton 3.10, which warns of it.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

import torch
import triton
from torch import Tensor

from evalharness.stack.kernels.told import interpreted

INTERPRETED = interpreted()
"""Kernels that multiply matrices of bf16 take this as the constexpr ``UPCAST``: the interpreter's `tl.dot` would
multiply the raw bits."""

SHARES = 256
"""Programs at most of a pass that adds up the gradients of a row of parameters, each over its share of the rows."""


def on_device_of(x: Tensor) -> AbstractContextManager[object]:
    """In which kernels are launched on the GPU that has `x`; Triton takes the current one otherwise."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def target_of(x: Tensor) -> str:
    """Of `TARGETS` the one whose tiles suit the GPU that has `x`; others than H100 and B200 have less shared memory."""
    if torch.version.hip is not None:
        return "gfx942"
    return "sm_90" if not x.is_cuda or torch.cuda.get_device_capability(x.device)[0] in (9, 10) else "sm_80"


def row_block(width: int) -> int:
    """Numbers that a program holds to have a whole row: Triton's ranges are powers of two."""
    block: int = triton.next_power_of_2(max(width, 1))
    return block


def row_warps(block: int) -> int:
    """Warps for a row of so many numbers: 8 numbers a thread at least, as far as 32 warps go."""
    return min(max(block // 256, 1), 16)


def rows_of(x: Tensor) -> Tensor:
    """``[..., W]`` as ``[N, W]`` whose rows are contiguous in themselves; copied only where strides do not allow it."""
    x_NW = x.reshape(-1, x.shape[-1]) if x.shape[-1] else x.reshape(x.shape[:-1].numel(), 0)
    return x_NW if x_NW.stride(1) == 1 or x_NW.shape[1] <= 1 else x_NW.contiguous()
