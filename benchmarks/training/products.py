"""The products of a training step, by the library that torch takes (MKL) and by oneDNN: fp32, 4,096 rows.

    python benchmarks/training/products.py [--threads 2] [--rounds 15]

For each layer: outputs, gradient of the inputs, gradient of the weight, in milliseconds (the lower quartile of the
rounds, in which the two take turns); then both passes together through `F.linear` and through `products.linear`. The
vocabulary's 8,192 outputs are computed in chunks of 256 rows, as the loss does. Prints one JSON line, with a checksum
of the outputs and gradients of `products.linear` on fixed numbers: equal from run to run at equal numbers of threads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.layers.linear import product
from evalharness.stack.training.products import linear

LAYERS = [(256, 768, 4096), (256, 256, 4096), (256, 1024, 4096), (1024, 256, 4096), (256, 8192, 256)]
"""Inputs, outputs, rows at once."""
ROWS = 4096


def quartiles(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Lower quartile of milliseconds of each work."""
    took: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            if turn:
                took[name].append(1000 * (time.perf_counter() - began))
    return {name: sorted(times)[len(times) // 4] for name, times in took.items()}


def measured(inputs: int, outputs: int, rows: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds for 4,096 rows by both libraries, and how often MKL's go into oneDNN's."""
    x, weight, towards = torch.randn(rows, inputs), torch.randn(outputs, inputs), torch.randn(rows, outputs)
    learned = [tensor.clone().requires_grad_() for tensor in (x, weight)]

    def passes(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(function(*learned), learned, towards)

    pairs = {
        "outputs": (lambda: F.linear(x, weight), lambda: product(x, weight)),
        "input_gradient": (lambda: towards @ weight, lambda: product(towards, weight.t())),
        "weight_gradient": (lambda: towards.t() @ x, lambda: product(towards.t(), x.t())),
        "together": (passes(F.linear), passes(linear)),
    }
    found = {}
    for name, (theirs, mine) in pairs.items():
        times = quartiles({"torch": theirs, "ours": mine}, rounds)
        scaled = {side: round(value * ROWS / rows, 1) for side, value in times.items()}
        found[name] = {**scaled, "ratio": round(times["torch"] / times["ours"], 2)}
    return found


def checksum() -> str:
    random = torch.Generator().manual_seed(0)
    x, weight, towards = (torch.randn(shape, generator=random) for shape in ((4096, 256), (768, 256), (4096, 768)))
    x.requires_grad_()
    weight.requires_grad_()
    y = linear(x, weight)
    parts = [y.detach(), *torch.autograd.grad(y, (x, weight), towards)]
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    load = os.getloadavg()[0]
    layers = {
        f"{inputs} to {outputs}": measured(inputs, outputs, rows, options.rounds) for inputs, outputs, rows in LAYERS
    }
    print(json.dumps({"threads": options.threads, "load": round(load, 1), "layers": layers, "checksum": checksum()}))


if __name__ == "__main__":
    main()
