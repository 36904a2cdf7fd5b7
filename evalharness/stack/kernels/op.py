"""What an op is, and which of its implementations computes: torch, or what the user says.

An op is a folder here. Its ``__init__`` has the function that callers use and an `Op`; its modules ``reference``
(the formula, in the dtype of what it is given, at least fp32), ``in_torch`` (the fast path of torch) and, where there
is one, ``in_triton`` have functions of the same names and arguments. None of the three is imported before it is used.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module, util
from typing import Any

import torch
from torch import Tensor

from evalharness.stack.errors import KernelError
from evalharness.stack.kernels.told import VARIABLE, Implementation, exact_lacks, interpreted, told_kernels

FLOATS = ("fp32", "bf16", "fp16")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Names of Triton."""
KINDS = {"halves": ("bf16", "fp16"), "whole": ("fp32",)}
"""Of numbers, by their bytes: tiles of products follow these."""
TARGETS = ("sm_80", "sm_90", "gfx942")
"""GPUs that kernels are compiled for: A100, H100 and H200, MI300."""
OLDEST = (8, 0)
"""Compute capability of NVIDIA's GPUs from which on kernels are compiled and used (A100)."""

_PACKAGE = sys.modules[__package__]
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
    stages: int = 3
    targets: tuple[str, ...] = TARGETS
    """GPUs on which it is launched so."""


@dataclass(frozen=True, slots=True)
class Op:
    """An op, found by the name of its folder."""

    name: str
    signatures: tuple[Signature, ...] = ()
    """Of its Triton kernels: the dtypes of the first are those that the op takes; none where it has no Triton."""
    largest: int | None = None
    """The most that `size` of `implementation` may be for Triton: what a program can hold."""
    row_wise: bool = False
    """Whether Triton gives each row the same bits whatever rows are computed beside it: what `exactly` needs."""

    def implementation(self, like: Tensor, size: int | None = None) -> Any:
        """The module that computes for the device and dtype of `like`, and a size that is the op's to define.

        Args:
            size: None is that of the last axis of `like`.

        Raises:
            KernelError: `EVALHARNESS_KERNELS` names what does not exist, or what cannot compute this here, or not
                as `exactly` wants it.
        """
        if like.is_cpu and _torch_computes(self):
            return getattr(_PACKAGE, self.name).in_torch
        return getattr(getattr(_PACKAGE, self.name), _MODULES[self.chosen(like, size)])

    def chosen(self, like: Tensor, size: int | None = None) -> Implementation:
        """The name of what `implementation` takes, for callers that compute otherwise where torch does."""
        if size is None:
            size = 0 if self.largest is None else like.shape[-1]
        return _chosen(self, type(like), like.device, like.dtype, size)

    def refusal(self, device: torch.device, dtype: torch.dtype, size: int = 0) -> str | None:
        """Why Triton cannot compute this here; None where it can."""
        if not self.signatures:
            return "it has no Triton kernel"
        missing = triton_missing(device)
        if missing is not None:
            return missing
        first = self.signatures[0].kernel
        names = {name for signature in self.signatures if signature.kernel == first for name in signature.dtypes}
        taken = [known for name, known in DTYPES.items() if name in names]
        if dtype not in taken:
            return f"its Triton kernel takes {', '.join(map(str, taken))}, not {dtype}"
        if self.largest is not None and size > self.largest:
            return f"its Triton kernel takes rows of up to {self.largest:,} numbers, not {size:,}"
        return None

    def choose(self, device: torch.device, dtype: torch.dtype, size: int) -> Implementation:
        """As `implementation`, asked anew."""
        told = _told()
        asked = told.get(self.name, told.get(""))
        if _EXACT.on and device.type != "cpu":
            if asked in ("reference", "torch"):
                raise KernelError(f"{VARIABLE}: exact on a GPU needs triton for {self.name}, not {asked}.")
            if (refusal := self.refusal(device, dtype, size)) is not None:
                raise KernelError(f"exact on a GPU needs triton, which cannot compute {self.name} here: {refusal}.")
            asked = "triton"
        if asked in ("reference", "torch"):
            return asked
        if asked is None:
            # On GPUs too, until the Triton kernels have been seen there to be right and fast (docs/kernels.md).
            return "torch"
        if (refusal := self.refusal(device, dtype, size)) is not None:
            raise KernelError(f"{VARIABLE}: triton cannot compute {self.name} here: {refusal}; torch can.")
        if _EXACT.on and not self.row_wise:
            raise KernelError(f"exact: Triton's {self.name} has other bits when other rows are computed beside a row.")
        return "triton"


class _Exact(threading.local):
    """Of a thread, as engines of several models may run at once."""

    on = False


_EXACT = _Exact()
_CHOSEN: dict[tuple[object, ...], Implementation] = {}
_BY_TORCH: set[str] = set()
"""Ops for which torch has been chosen on a processor: it is whatever the dtype and size, and in `exactly` too."""
_USED: dict[str, dict[Implementation, None]] = {}


def _chosen(op: Op, kind: type[Tensor], device: torch.device, dtype: torch.dtype, size: int) -> Implementation:
    """The name of what computes, whose module is there afterwards."""
    # The device and not its type: to make that name takes as long as all the rest.
    key = (op.name, kind, device, dtype, op.largest is None or size <= op.largest, _EXACT.on)
    found = _CHOSEN.get(key)
    if found is None:
        # Tensors without numbers are torch's alone, and nothing is computed of them that had to be told.
        fake = kind.__name__ == "FakeTensor"
        found = _CHOSEN[key] = "torch" if fake else op.choose(device, dtype, size)
        import_module(f"{__package__}.{op.name}.{_MODULES[found]}")
        if not fake:
            _USED.setdefault(op.name, {})[found] = None
            if device.type == "cpu" and found == "torch":
                _BY_TORCH.add(op.name)
    return found


def _torch_computes(op: Op) -> bool:
    """Whether that is known of a processor: `_chosen` would take three times as long, which shows in what takes 5 µs,
    as a row of `glu` does."""
    return op.name in _BY_TORCH


# torch.compile takes what they find as a constant, and what `in_exact` finds: it would look into them otherwise, and
# compile again when other ops are used. The decorator that says so, `torch.compiler.assume_constant_result`, imports
# its compiler (2.5 s).
_chosen._dynamo_marked_constant = True  # type: ignore[attr-defined]
_torch_computes._dynamo_marked_constant = True  # type: ignore[attr-defined]


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


@contextmanager
def exactly(wanted: bool = True) -> Iterator[None]:
    """Let rows have the same bits whatever is computed beside them, in this thread, as long as it is `wanted`.

    On a processor callers see to that by the shapes of what they compute. On a GPU torch chooses kernels by shape, so
    that only Triton's do it, and only those that are `row_wise`; others are refused.
    """
    before, _EXACT.on = _EXACT.on, wanted
    try:
        yield
    finally:
        _EXACT.on = before


def in_exact() -> bool:
    """Whether `exactly` is wanted: for paths of torch that would choose by the number of rows."""
    return _EXACT.on


in_exact._dynamo_marked_constant = True  # type: ignore[attr-defined]


def exact_refusal(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why nothing can be computed `exactly` here; None where it can."""
    lacking = exact_lacks(device.type)
    if lacking is not None or device.type == "cpu":
        return lacking
    if dtype not in DTYPES.values():
        return f"its kernels take {', '.join(map(str, DTYPES.values()))}, not {dtype}"
    return triton_missing(device)


_told = cache(told_kernels)


def _forget() -> None:
    _told.cache_clear()
    _CHOSEN.clear()
    _BY_TORCH.clear()


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
