"""Attention of one new token of each text to its pages, beside torch's own over the same keys side by side.

Prints a JSON line, with the share of the bandwidth of a copy at which keys and values are read; and one for store_kv.

    python benchmarks/kernels/paged_decode.py [--device cuda] [--dtype bfloat16] [--texts 32] [--length 4096]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import torch
from interleaved import ceilings, facts, medians
from torch.nn.functional import scaled_dot_product_attention

from evalharness.stack.kernels.op import using
from evalharness.stack.kernels.paged_decode import paged_decode
from evalharness.stack.kernels.store_kv import store_kv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--texts", type=int, default=32)
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--page", type=int, default=16)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--kv-heads", type=int, default=8)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    names = ["torch", *(["triton"] if device.type == "cuda" else [])]
    pages = -(-options.length // options.page)
    slots = options.texts * pages * options.page
    with torch.inference_mode():
        bandwidth = ceilings(device, dtype)["copy_bytes_a_second"]
        queries = torch.randn(options.texts, options.heads, options.size, device=device).to(dtype)
        cache = torch.randn(2, slots, options.kv_heads, options.size, device=device).to(dtype)
        table = torch.randperm(options.texts * pages, device=device).int().view(options.texts, pages)
        lengths = torch.full((options.texts,), options.length, dtype=torch.int32, device=device)
        scale = options.size**-0.5
        whole = cache.view(2, options.texts, -1, *cache.shape[2:])[:, :, : options.length].transpose(2, 3)
        functions: dict[str, Callable[[], object]] = {
            "sdpa": lambda: scaled_dot_product_attention(
                queries[:, :, None], whole[0], whole[1], scale=scale, enable_gqa=True
            )
        }
        for name in names:
            functions[name] = under(
                name, lambda: paged_decode(queries, cache, table, lengths, page=options.page, scale=scale)
            )
        say("paged_decode", functions, whole.nbytes, bandwidth, options, device, dtype)
        into = torch.randperm(slots, device=device)
        keys, values = torch.randn_like(cache)
        functions = {name: under(name, lambda: store_kv(keys, values, cache, into)) for name in names}
        say("store_kv", functions, 2 * cache.nbytes, bandwidth, options, device, dtype)


def say(
    op: str, functions: dict[str, Callable[[], object]], moved: int, bandwidth: float,
    options: argparse.Namespace, device: torch.device, dtype: torch.dtype,
) -> None:  # fmt: skip
    found = medians(functions, device, options.rounds)
    line = {
        "op": op, "texts": options.texts, "length": options.length, "heads": [options.heads, options.kv_heads],
        "size": options.size, "page": options.page, **facts(device, dtype),
        "milliseconds": {name: round(value * 1e3, 3) for name, value in found.items()},
        "share_of_copy_bandwidth": {name: round(moved / value / bandwidth, 3) for name, value in found.items()},
    }  # fmt: skip
    print(json.dumps(line), flush=True)


def under(name: str, function: Callable[[], object]) -> Callable[[], object]:
    def computed() -> object:
        with using(name):
            return function()

    return computed


if __name__ == "__main__":
    main()
