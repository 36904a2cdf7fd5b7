"""A part of `fast` attention by whole products of oneDNN and by torch's flash attention, at several sizes.

    python benchmarks/engine/attention.py [--threads 2] [--dtype float32]

Three heads of keys and values, 64 numbers each, as SmolLM2 has them. Prints one JSON line; the size at which the first
becomes the faster one is `LARGE` in `evalharness/stack/kernels/shared_prefix_attention/in_torch.py`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from unittest.mock import patch

import torch

from evalharness.stack.kernels.shared_prefix_attention import in_torch

SIZES = ((96, 64), (192, 128), (192, 704), (384, 256), (768, 256), (768, 704), (768, 1536))
"""Queries of one key head, and keys."""


def best_microseconds(run: Callable[[], object], rounds: int = 7, times: int = 5) -> float:
    run()
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(times):
            run()
        best = min(best, (time.perf_counter() - began) / times)
    return best * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    found = {}
    with torch.inference_mode():
        for queries, keys in SIZES:
            q, k, v = (torch.randn(3, count, 64).to(dtype) for count in (queries, keys, keys))
            took = {}
            for name, large in (("products", 0), ("flash", 1 << 60)):
                with patch.object(in_torch, "LARGE", large), patch.object(in_torch, "has_amx", lambda: False):
                    took[name] = best_microseconds(lambda q=q, k=k, v=v: in_torch.partial_attention(q, k, v, None))  # type: ignore[misc]
            found[f"{queries} x {keys}"] = {
                "products_microseconds": round(took["products"]),
                "flash_microseconds": round(took["flash"]),
                "ratio": round(took["flash"] / took["products"], 2),
            }
    print(json.dumps({"threads": options.threads, "dtype": options.dtype, "parts": found}))


if __name__ == "__main__":
    main()
