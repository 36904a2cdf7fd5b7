"""Times of several ways to compute one thing, in turns, and the ceilings of the device that they are shares of."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch


def seconds(function: Callable[[], object], device: torch.device) -> float:
    if device.type != "cuda":
        began = time.perf_counter()
        function()
        return time.perf_counter() - began
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    function()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3


def medians(functions: Mapping[str, Callable[[], object]], device: torch.device, rounds: int = 15) -> dict[str, float]:
    """Median seconds of each; every round has one of each, so that a busy neighbour is everyone's."""
    for function in functions.values():
        function()
        function()
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(seconds(function, device))
    return {name: statistics.median(found) for name, found in times.items()}


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
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    return {
        "device": name, "dtype": str(dtype).removeprefix("torch."), "torch": torch.__version__,
        "threads": torch.get_num_threads(), "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip
