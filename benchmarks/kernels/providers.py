"""What the benchmarks of the small ops have in common: who computes, and the line that is printed.

A share is of the bandwidth of a copy (the bytes that an op must read and write at least, by its time) or of the rate of
a large product, both measured in the same run.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from interleaved import ceilings, facts, medians
from torch import Tensor

Call = Callable[[], object]


def options(description: str) -> argparse.Namespace:
    """Device, dtype, rounds, and whether torch.compile is measured, from the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default=None, help="bfloat16 on a GPU, float32 on a processor")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--small", action="store_true", help="tiny shapes: only whether it runs")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    asked.dtype = getattr(torch, asked.dtype or ("bfloat16" if asked.device == "cuda" else "float32"))
    return asked


def normal(asked: argparse.Namespace, *shape: int, gradient: bool = False) -> Tensor:
    """Random normal numbers as the command line wants them."""
    return torch.randn(shape, device=asked.device, dtype=asked.dtype).requires_grad_(gradient)


def implementations(op: str, asked: argparse.Namespace, call: Callable[[Any], object]) -> dict[str, Call]:
    """An op by each implementation that can compute here, without dispatch, and by dispatch as callers have it."""
    names = {"torch": "in_torch", **({"triton": "in_triton"} if asked.device == "cuda" else {})}
    package = f"evalharness.stack.kernels.{op}"
    modules = {name: importlib.import_module(f"{package}.{module}") for name, module in names.items()}
    modules["dispatched"] = importlib.import_module(package)
    return {name: (lambda module=module: call(module)) for name, module in modules.items()}


def compiled(asked: argparse.Namespace, call: Callable[..., object], function: Callable[..., Any]) -> dict[str, Call]:
    """`call` of a plain function under torch.compile; nothing with ``--no-compile``."""
    if asked.no_compile:
        return {}
    made = torch.compile(function, dynamic=False)
    return {"torch.compile": lambda: call(made)}


def liger(asked: argparse.Namespace, module: str, call: Callable[[Any], object]) -> dict[str, Call]:
    """An op of Liger-Kernel, by the name of its module, where that is installed and there is a GPU."""
    if asked.device != "cuda" or importlib.util.find_spec("liger_kernel") is None:
        return {}
    found = importlib.import_module(f"liger_kernel.ops.{module}")
    return {"liger": lambda: call(found)}


def both_passes(out: Tensor, *inputs: Tensor) -> object:
    """The gradients of a sum of the outputs."""
    return torch.autograd.grad(out, inputs, torch.ones_like(out))


def tell(
    op: str,
    passes: str,
    shape: Mapping[str, int],
    calls: Mapping[str, Call],
    asked: argparse.Namespace,
    *,
    bytes: float | None = None,
    operations: float | None = None,
) -> None:
    """Time the calls and print a line of JSON, with each one's share of the ceiling."""
    device = torch.device(asked.device)
    seconds = medians(calls, device, 1 if asked.small else asked.rounds)
    told: dict[str, Any] = {"op": op, "passes": passes, **shape, **facts(device, asked.dtype)}
    told["milliseconds"] = {name: round(1000 * value, 4) for name, value in seconds.items()}
    ceiling = _ceilings(device, asked.dtype)
    if bytes is not None:
        told["of_copy"] = {
            name: round(bytes / value / ceiling["copy_bytes_a_second"], 3) for name, value in seconds.items()
        }
    if operations is not None:
        told["of_product"] = {
            name: round(operations / value / ceiling["product_operations_a_second"], 3)
            for name, value in seconds.items()
        }
    if device.type == "cuda":
        told["peak_bytes"] = {name: peak_bytes(call) for name, call in calls.items()}
    print(json.dumps(told), flush=True)


def peak_bytes(call: Call) -> int:
    """Of the GPU's memory, beyond what is there before the call."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


@cache
def _ceilings(device: torch.device, dtype: torch.dtype) -> dict[str, float]:
    return ceilings(device, dtype)
