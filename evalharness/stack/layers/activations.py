"""Pointwise non-linearities by name.

torch's kernels compute most numbers of a tensor in vectors and those at the end of a thread's part one by one, by other
instructions, so that the last bit of an activation follows from how many numbers there are. In `exact` activations on
a processor are made of operations that compute each number alike wherever it lies.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.kernels.op import in_exact


def gelu(x: Tensor) -> Tensor:
    return _wide(_gelu, x) if in_exact() and x.is_cpu else F.gelu(x)


def gelu_tanh(x: Tensor) -> Tensor:
    return _wide(_gelu_tanh, x) if in_exact() and x.is_cpu else F.gelu(x, approximate="tanh")


def swish(x: Tensor) -> Tensor:
    return _wide(_swish, x) if in_exact() and x.is_cpu else F.silu(x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": gelu, "gelu_tanh": gelu_tanh, "relu": F.relu, "swish": swish,
}  # fmt: skip
"""``relu``: max(x, 0). ``gelu``: x Phi(x) with the normal distribution function Phi, and ``gelu_tanh``, its
approximation ``x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`` (Hendrycks and Gimpel 2016, arXiv:1606.08415).
``swish``: x sigmoid(x), also called SiLU (Ramachandran et al. 2017, arXiv:1710.05941)."""


# --------------------------------------------------------------------------- exact


def _wide(composed: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """In at least fp32; without a gradient."""
    return composed(x.to(torch.promote_types(x.dtype, torch.float32))).to(x.dtype)


def _gelu(x: Tensor) -> Tensor:
    return (x * math.sqrt(0.5)).erf_().add_(1).mul_(x).mul_(0.5)


def _gelu_tanh(x: Tensor) -> Tensor:
    inner = x.square().mul_(0.044715).add_(1).mul_(x).mul_(math.sqrt(2 / math.pi))
    return inner.tanh_().add_(1).mul_(x).mul_(0.5)


def _swish(x: Tensor) -> Tensor:
    below = x.neg().exp_().add_(1)
    return torch.div(x, below, out=below)
