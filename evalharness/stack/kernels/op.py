"""What an op is, and which of its implementations computes: torch, or what the user says.

An op is a folder here. Its ``__init__`` has the function that callers use and an `Op`; its modules ``reference``
(the formula, in the dtype of what it is given, at least fp32), ``in_torch`` (the fast path of torch) and, where there
is one, ``in_triton`` have functions of the same names and arguments. None of the three is imported before it is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module, util
from typing import Any

import torch
from torch import Tensor

from evalharness.stack.errors import KernelError
from evalharness.stack.kernels.told import VARIABLE, Implementation, interpreted, told_kernels

FLOATS = ("fp32", "bf16", "fp16")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Names of Triton."""
OLDEST = (8, 0)
"""Compute capability of NVIDIA's GPUs from which on kernels are compiled and used (A100)."""

_MODULES: dict[Implementation, str] = {"reference": "reference", "torch": "in_torch", "triton": "in_triton"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How one Triton kernel is launched: enough to compile it on a machine without a GPU."""

    kernel: str
    """Name of the function in ``in_triton``."""
    arguments: Mapping[str, str]
    """Types of Triton by argument, in order; in ``*T`` and ``T`` the T is replaced by each of `dtypes`."""
    constants: tuple[Mapping[str, Any], ...]
    """Values of the constexprs; each mapping is compiled."""
    dtypes: tuple[str, ...] = FLOATS
    warps: int = 4
    stages: int = 2


@dataclass(frozen=True, slots=True)
class Op:
    """An op, found by the name of its folder."""

    name: str
    signatures: tuple[Signature, ...] = ()
    """Of its Triton kernels: the dtypes of the first are those that the op takes; none where it has no Triton."""
    largest: int | None = None
    """The most that `size` of `implementation` may be for Triton: what a program can hold."""

    def implementation(self, like: Tensor, size: int = 0) -> Any:
        """The module that computes for the device and dtype of `like`, and a size that is the op's to define.

        Raises:
            KernelError: `EVALHARNESS_KERNELS` names what does not exist, or what cannot compute this here.
        """
        fits = self.largest is None or size <= self.largest
        key = (self.name, like.device.type, like.dtype, fits)
        found = _CHOSEN.get(key)
        if found is None:
            chosen = self._choose(like, size)
            found = _CHOSEN[key] = import_module(f"{__package__}.{self.name}.{_MODULES[chosen]}")
            _USED.setdefault(self.name, {})[chosen] = None
        return found

    def refusal(self, like: Tensor, size: int = 0) -> str | None:
        """Why Triton cannot compute this here; None where it can."""
        if not self.signatures:
            return "it has no Triton kernel"
        missing = triton_missing(like.device)
        if missing is not None:
            return missing
        taken = [DTYPES[name] for name in self.signatures[0].dtypes]
        if like.dtype not in taken:
            return f"its Triton kernel takes {', '.join(map(str, taken))}, not {like.dtype}"
        if self.largest is not None and size > self.largest:
            return f"its Triton kernel takes rows of up to {self.largest:,} numbers, not {size:,}"
        return None

    def _choose(self, like: Tensor, size: int) -> Implementation:
        told = _told()
        asked = told.get(self.name, told.get(""))
        if asked in ("reference", "torch"):
            return asked
        if asked is None:
            # On GPUs too, until the Triton kernels have been seen there to be right and fast (docs/kernels.md).
            return "torch"
        if (refusal := self.refusal(like, size)) is not None:
            raise KernelError(f"{VARIABLE}: triton cannot compute {self.name} here: {refusal}; torch can.")
        return "triton"


_CHOSEN: dict[tuple[str, str, torch.dtype, bool], Any] = {}
_USED: dict[str, dict[Implementation, None]] = {}


def used() -> dict[str, list[str]]:
    """The implementations by op that computed in this process, for the record of a run."""
    return {name: list(implementations) for name, implementations in sorted(_USED.items())}


@contextmanager
def using(told: str) -> Iterator[None]:
    """Let ops compute as if `EVALHARNESS_KERNELS` were `told`; of the whole process, for tests and benchmarks."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = told
    _forget()
    try:
        yield
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before
        _forget()


_told = cache(told_kernels)


def _forget() -> None:
    _told.cache_clear()
    _CHOSEN.clear()


@cache
def triton_missing(device: torch.device) -> str | None:
    """What lacks for Triton to compute on a device; None where nothing does."""
    if util.find_spec("triton") is None:
        return "Triton is not installed (pip install 'evalharness[triton]')"
    if interpreted():
        return None
    if device.type != "cuda":
        return f"Triton computes on a GPU, and the numbers are on {device.type}"
    if torch.version.hip is None and torch.cuda.get_device_capability(device) < OLDEST:
        return f"{torch.cuda.get_device_name(device)} is older than the GPUs that kernels are made for (sm_80)"
    return None
