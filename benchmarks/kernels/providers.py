"""What the benchmarks of the ops have in common: what is measured, who computes, and the line that is printed.

A share is of the bandwidth of a copy (the bytes that an op must read and write at least, by its time) or of the rate of
a large product, both measured in the same run. `PLAIN` is what a model's author would write in torch.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import torch
from interleaved import ceilings, facts, times
from torch import Tensor

from evalharness.stack.kernels.told import interpreted

Call = Callable[[], object]

PLAIN, DISPATCHED = "plain", "dispatched"
"""The two whose ratio is the claim on a processor; `DISPATCHED` is the function that callers have."""
LINE, ONE, TRAINING, LARGE, SMALL = "SmolLM2, a line", "SmolLM2, one token", "tiny training", "large", "small"
"""The kinds of shapes: 1,024 tokens of SmolLM2-135M (fewer where the vocabulary counts), one token, a batch of
examples/tiny-symbolic; on a GPU those of an 8 B model; and such that only show whether a script runs."""


def options(description: str | None) -> argparse.Namespace:
    """Device, the first dtype, rounds, and whether torch.compile is measured, from the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", nargs="+", help="bfloat16 on a GPU, float32 and bfloat16 on a processor")
    parser.add_argument("--rounds", type=int, default=51, help="at most; there are at least five")
    parser.add_argument("--budget", type=float, default=0.6, help="seconds of a line after which no round begins")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--small", action="store_true", help="tiny shapes: only whether it runs")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    asked.dtypes = [
        getattr(torch, name)
        for name in asked.dtype or (["bfloat16"] if asked.device == "cuda" else ["float32", "bfloat16"])
    ]
    asked.dtype = asked.dtypes[0]
    return asked


def every_dtype(description: str | None) -> Iterator[argparse.Namespace]:
    """The same once for each dtype."""
    asked = options(description)
    for dtype in asked.dtypes:
        yield argparse.Namespace(**{**vars(asked), "dtype": dtype})


def shapes(asked: argparse.Namespace, *, small: Any, large: Any, **processor: Any) -> dict[str, Any]:
    """The shapes to measure by their kinds: `line`, `one` and `training` on a processor."""
    if asked.small:
        return {SMALL: small}
    if asked.device == "cuda":
        return {LARGE: large}
    names = {"line": LINE, "one": ONE, "training": TRAINING}
    return {names[name]: shape for name, shape in processor.items()}


def normal(asked: argparse.Namespace, *shape: int, gradient: bool = False) -> Tensor:
    """Random normal numbers as the command line wants them."""
    return torch.randn(shape, device=asked.device, dtype=asked.dtype).requires_grad_(gradient)


def implementations(op: str, asked: argparse.Namespace, call: Callable[[Any], object]) -> dict[str, Call]:
    """An op as callers have it, and by each implementation that can compute here beside torch, without dispatch."""
    package = f"evalharness.stack.kernels.{op}"
    names = {DISPATCHED: package}
    if asked.device == "cuda":
        names["torch"] = f"{package}.in_torch"
    if asked.device == "cuda" or (asked.small and interpreted()):
        names["triton"] = f"{package}.in_triton"
    modules = {name: importlib.import_module(module) for name, module in names.items()}
    return {name: (lambda module=module: call(module)) for name, module in modules.items()}


def compiled(asked: argparse.Namespace, call: Callable[..., object], function: Callable[..., Any]) -> dict[str, Call]:
    """`call` of a plain function under torch.compile; nothing with ``--no-compile`` or of small shapes."""
    if asked.no_compile or asked.small:
        return {}
    made = torch.compile(function, dynamic=False)
    return {"torch.compile": lambda: call(made)}


def liger(asked: argparse.Namespace, module: str, call: Callable[[Any], object]) -> dict[str, Call]:
    """An op of Liger-Kernel, by the name of its module, where that is installed and there is a GPU."""
    if asked.device != "cuda" or importlib.util.find_spec("liger_kernel") is None:
        return {}
    found = importlib.import_module(f"liger_kernel.ops.{module}")
    try:
        call(found)
    except (AttributeError, TypeError, RuntimeError) as error:  # another version, with other arguments
        print(f"Liger-Kernel is left out: {error}", file=sys.stderr)
        return {}
    return {"liger": lambda: call(found)}


def both_passes(out: Tensor, *inputs: Tensor) -> object:
    """The gradients of a sum of the outputs."""
    return torch.autograd.grad(out, inputs, torch.ones_like(out))


def tell(
    op: str,
    passes: str,
    shape: Mapping[str, Any],
    calls: Mapping[str, Call],
    asked: argparse.Namespace,
    *,
    case: str = "",
    bytes: float | None = None,
    operations: float | None = None,
) -> None:
    """Time the calls and print a line of JSON, with each one's share of the ceiling.

    ``times_plain`` is the median, over the rounds, of each one's time by that of `PLAIN` in the same round.

    Args:
        case: a kind of shapes, as `LINE`.
    """
    device = torch.device(asked.device)
    found = times(calls, device, 1 if asked.small else asked.rounds, asked.budget)
    seconds = {name: statistics.median(rounds) for name, rounds in found.items()}
    told: dict[str, Any] = {"op": op, "passes": passes, "case": case, "shape": dict(shape)}
    told |= facts(device, asked.dtype)
    told["rounds"] = len(next(iter(found.values())))
    told["milliseconds"] = {name: _short(1000 * value) for name, value in seconds.items()}
    if PLAIN in found:
        told["times_plain"] = {
            name: _short(statistics.median(own / plain for own, plain in zip(rounds, found[PLAIN], strict=True)))
            for name, rounds in found.items()
            if name != PLAIN
        }
    if not asked.small:
        ceiling = _ceilings(device, asked.dtype)
        for name, moved, rate in (
            ("of_copy", bytes, ceiling["copy_bytes_a_second"]),
            ("of_product", operations, ceiling["product_operations_a_second"]),
        ):
            if moved is not None:
                told[name] = {each: _short(moved / value / rate) for each, value in seconds.items()}
    if device.type == "cuda":
        told["peak_bytes"] = {name: peak_bytes(call) for name, call in calls.items()}
    print(json.dumps(told), flush=True)


def _short(value: float) -> float:
    return float(f"{value:.4g}")


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
