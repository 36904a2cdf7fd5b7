"""How fast a machine multiplies matrices at best: by its data sheet, or measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.layers.linear import can_pack, product

PUBLISHED: tuple[tuple[str, float], ...] = (
    ("B200", 2250e12),
    ("H200 NVL", 835e12),
    ("H200", 989e12),
    ("H100 NVL", 835e12),
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("A100", 312e12),
    ("A40", 149.7e12),
    ("L40S", 362e12),
    ("L4", 121e12),
    ("MI300X", 1307e12),
)
"""Part of the name that the driver tells, and operations a second of dense products in bf16 (added up in fp32) by the
makers' data sheets, where those with sparsity are halved. The first that matches counts."""
LARGEST = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of the largest matrices that are tried."""


@dataclass(frozen=True, slots=True)
class Peak:
    """What a share of the peak is a share of."""

    operations_per_second: float
    meaning: str
    """Where the number is from, for people who read the share."""


def machine_peak(device: torch.device, dtype: torch.dtype) -> Peak:
    """The published peak for bf16 on a known GPU, else the measured one."""
    if device.type == "cuda" and dtype == torch.bfloat16:
        name = torch.cuda.get_device_name(device)
        published = published_peak(name)
        if published is not None:
            return Peak(published, f"dense bf16 peak of {name} by its data sheet")
    return measured_peak(device, dtype)


def published_peak(name: str) -> float | None:
    """Operations a second in bf16 of a GPU by its name, None if it is not in `PUBLISHED`, or a part of one (MIG)."""
    words = f" {name.replace('-', ' ')} "  # as in "NVIDIA A100-SXM4-80GB"
    if " MIG " in words:
        return None
    return next((peak for part, peak in PUBLISHED if f" {part} " in words), None)


def measured_peak(device: torch.device, dtype: torch.dtype, seconds: float = 0.3) -> Peak:
    """The fastest product of square matrices that was seen within about so many seconds, by the libraries of torch.

    A processor's frequency and its other users change it by a tenth and more from one time to the next.
    """
    products: list[Callable[[Tensor, Tensor], Tensor]] = [F.linear]
    if can_pack(device, dtype):
        products.append(product)
    until = time.perf_counter() + seconds
    best, size, largest = (0.0, 0), 256, LARGEST.get(device.type, 2048)
    while True:
        random = torch.Generator(device).manual_seed(0)
        a, b = (torch.rand(size, size, generator=random, device=device).to(dtype) for _ in range(2))
        began = time.perf_counter()
        for multiply in products:
            multiply(a, b)  # the first one of a size prepares what others find prepared
            best = max(best, (2 * size**3 / _duration(multiply, a, b), size))
        now = time.perf_counter()
        # Twice the size takes eight times as long; at the last size what is left of the time is used.
        if now + 8 * (now - began) < until and size < largest:
            size *= 2
        elif now >= until:
            rate, rows = best
            name = str(dtype).removeprefix("torch.")
            threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
            return Peak(
                rate, f"fastest product of {rows} x {rows} matrices in {name} measured on this machine{threads}"
            )


def _duration(multiply: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> float:
    _synchronize(a.device)
    began = time.perf_counter()
    multiply(a, b)
    _synchronize(a.device)
    return time.perf_counter() - began


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
