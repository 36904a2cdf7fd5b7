"""What the user says of implementations, by the variable `EVALHARNESS_KERNELS`; needs no torch."""

from __future__ import annotations

import os
from importlib import util
from typing import Literal, get_args

from evalharness.stack.errors import KernelError
from evalharness.stack.kernels.table import OPS

VARIABLE = "EVALHARNESS_KERNELS"
Implementation = Literal["reference", "torch", "triton"]
IMPLEMENTATIONS: tuple[Implementation, ...] = get_args(Implementation)


def told_kernels() -> dict[str, Implementation]:
    """The implementations by op, of all others under ``""``: ``torch`` or ``torch,rms_norm=triton``.

    Raises:
        KernelError: no such op, or no such implementation.
    """
    found: dict[str, Implementation] = {}
    for part in filter(None, (part.strip() for part in os.environ.get(VARIABLE, "").split(","))):
        op, _, name = part.rpartition("=")
        if op and op not in OPS:
            raise KernelError(f"{VARIABLE}: there is no op {op!r}; there are {', '.join(OPS)}.")
        known = next((each for each in IMPLEMENTATIONS if each == name), None)
        if known is None:
            raise KernelError(f"{VARIABLE}: no implementation is called {name!r}; say reference, torch or triton.")
        found[op] = known
    return found


def interpreted() -> bool:
    """Whether Triton's interpreter computes in place of a GPU: `TRITON_INTERPRET`, set before Triton is imported."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")


def exact_lacks(kind: str) -> str | None:
    """What `exact` arithmetic lacks on a kind of device, as far as that can be told without torch; None where nothing.

    Raises:
        KernelError: `EVALHARNESS_KERNELS` names what does not exist.
    """
    if kind == "cpu":
        return None
    if kind != "cuda":
        return "the same bits are promised on processors and GPUs only"
    told = told_kernels().get("")
    if told in ("reference", "torch"):
        return f"the same bits are those of the Triton kernels there, and {VARIABLE} says {told}"
    if util.find_spec("triton") is None:
        return "the same bits are those of the Triton kernels there: pip install 'evalharness[triton]'"
    return None
