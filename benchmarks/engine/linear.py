"""One product of SmolLM2's feed-forward layer, by the packed weight and by the plain one, at several numbers of rows.

Cycles through the weights of twelve layers, so that each is read from memory as in a pass. Prints one JSON line.

    python benchmarks/engine/linear.py [--threads 2] [--dtype float32]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.layers.linear import PackedLinear

OUT, IN, LAYERS, REPEATS = 1536, 576, 12, 5


def best_microseconds(product: Callable[[int], Tensor]) -> float:
    product(0)
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        for layer in range(LAYERS):
            product(layer)
        best = min(best, (time.perf_counter() - began) / LAYERS)
    return best * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    plain = [torch.randn(OUT, IN).to(dtype) for _ in range(LAYERS)]
    packed = [PackedLinear(weight, None) for weight in plain]
    rows = {}
    with torch.inference_mode():
        for count in (1, 4, 16, 64, 256, 1024):
            x = torch.randn(count, IN).to(dtype)
            theirs = best_microseconds(lambda layer, x=x: F.linear(x, plain[layer]))  # type: ignore[misc]
            mine = best_microseconds(lambda layer, x=x: packed[layer](x))  # type: ignore[misc]
            rows[count] = {
                "packed_microseconds": round(mine),
                "plain_microseconds": round(theirs),
                "ratio": round(theirs / mine, 2),
            }
    print(json.dumps({"threads": options.threads, "dtype": options.dtype, "rows": rows}))


if __name__ == "__main__":
    main()
