"""Pointwise non-linearities by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn import functional as F

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "swish": F.silu,
}
"""``relu``: max(x, 0). ``gelu``: x Phi(x) with the normal distribution function Phi, and ``gelu_tanh``, its
approximation ``x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`` (Hendrycks and Gimpel 2016, arXiv:1606.08415).
``swish``: x sigmoid(x), also called SiLU (Ramachandran et al. 2017, arXiv:1710.05941)."""
