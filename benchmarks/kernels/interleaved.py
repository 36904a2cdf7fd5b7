"""Times of several ways to compute one thing, in turns, and the ceilings of the device that they are shares of."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

SHORTEST = 1e-3
"""Seconds that are timed at a time at least on a processor: shorter calls are repeated."""
AHEAD = 2_000_000
"""Clocks that a GPU waits before it is timed, about a millisecond: Python then launches everything before it begins."""
CACHED = 1 << 28
"""Bytes that are written before each call, so that a GPU's cache holds nothing of the last one."""


def times(
    functions: Mapping[str, Callable[[], object]], device: torch.device, rounds: int = 15, budget: float | None = None
) -> dict[str, list[float]]:
    """Seconds of each in every round; a round has one of each, so that a busy neighbour is everyone's.

    Every second round goes backwards, so that no one always comes behind the same other.

    Args:
        budget: seconds after which no round begins, but for the first five.
    """
    repeats = {name: _repeats(function, device) for name, function in functions.items()}
    found: dict[str, list[float]] = {name: [] for name in functions}
    began = time.perf_counter()
    for number in range(rounds):
        if budget is not None and number >= 5 and time.perf_counter() - began > budget:
            break
        for name in list(functions)[:: -1 if number % 2 else 1]:
            found[name].append(seconds(functions[name], device, repeats[name]))
    return found


def medians(functions: Mapping[str, Callable[[], object]], device: torch.device, rounds: int = 15) -> dict[str, float]:
    """Median seconds of each."""
    return {name: statistics.median(found) for name, found in times(functions, device, rounds).items()}


def seconds(function: Callable[[], object], device: torch.device, repeats: int = 1) -> float:
    """Of one call; on a GPU the time of its own, without that of launching."""
    if device.type != "cuda":
        began = time.perf_counter()
        for _ in range(repeats):
            function()
        return (time.perf_counter() - began) / repeats
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(AHEAD)
    _written(device).zero_()
    start.record()
    function()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3


def _repeats(function: Callable[[], object], device: torch.device) -> int:
    """How often a call is repeated to be timed; it is warm afterwards."""
    function()
    function()
    if device.type == "cuda":
        return 1
    return max(1, min(200, round(SHORTEST / seconds(function, device))))


@cache
def _written(device: torch.device) -> torch.Tensor:
    return torch.empty(CACHED, dtype=torch.uint8, device=device)


def ceilings(device: torch.device, dtype: torch.dtype) -> dict[str, float]:
    """Bytes a second of a copy (read and written) and operations a second of a product, here and now."""
    on_gpu = device.type == "cuda"
    source = torch.empty(2**30 if on_gpu else 2**26, dtype=torch.uint8, device=device)
    size = 8192 if on_gpu else 1024
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    target = torch.empty_like(source)
    found = medians({"copy": lambda: target.copy_(source), "product": lambda: left @ right}, device)
    return {
        "copy_bytes_a_second": 2 * source.numel() / found["copy"],
        "product_operations_a_second": 2 * size**3 / found["product"],
    }


def facts(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """What a line of results says of where it comes from."""
    return {
        "device": device_name(device), "dtype": str(dtype).removeprefix("torch."), "torch": torch.__version__,
        "threads": torch.get_num_threads(), "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


@cache
def device_name(device: torch.device) -> str:
    """As its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(named, platform.machine())}, {len(os.sched_getaffinity(0))} cores"
