"""Flash attention beside torch's: every backend of `scaled_dot_product_attention` that the device has.

Prints a JSON line for each kind of mask, forward and backward, with seconds, ratios to the fastest of torch's own, and
the share of the rate of a product that was measured in the same run.

    python benchmarks/kernels/flash_attention.py [--device cuda] [--dtype bfloat16] [--tokens 4096] [--kinds causal ...]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import torch
from interleaved import ceilings, facts, medians
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from evalharness.stack.kernels.flash_attention import causal, flash_attention, packed
from evalharness.stack.kernels.op import using

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="bfloat16")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--kv-heads", type=int, default=4)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--kinds", nargs="+", default=["causal", "window", "documents"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    rate = ceilings(device, dtype)["product_operations_a_second"]
    for kind in options.kinds:
        compare(kind, options, device, dtype, rate)


def compare(kind: str, options: argparse.Namespace, device: torch.device, dtype: torch.dtype, rate: float) -> None:
    count, scale = options.tokens, options.size**-0.5
    documents_BT = (torch.arange(count, device=device) // (count // 8))[None]
    intervals = {
        "causal": lambda: causal(count, count, device=device),
        "window": lambda: causal(count, count, window=count // 8, device=device),
        "documents": lambda: packed(count, documents_BT=documents_BT),
    }[kind]()
    mask = None if kind == "causal" else intervals.visible()[:, None]
    shape = (options.batch, count)
    queries = torch.randn(*shape, options.heads, options.size, device=device).to(dtype).requires_grad_()
    keys, values = (
        torch.randn(*shape, options.kv_heads, options.size, device=device).to(dtype).requires_grad_() for _ in range(2)
    )

    def theirs() -> Tensor:
        return scaled_dot_product_attention(
            *(part.transpose(1, 2) for part in (queries, keys, values)),
            attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=True,
        ).transpose(1, 2)  # fmt: skip

    def ours() -> Tensor:
        return flash_attention(queries, keys, values, intervals, scale=scale)[0]

    forward: dict[str, Callable[[], Tensor]] = {}
    for name in ["torch", *(["triton"] if device.type == "cuda" else [])]:
        forward[name] = lambda name=name: under(using(name), ours)  # type: ignore[misc]
    for name, backend in BACKENDS.items():
        attempt = lambda backend=backend: under(sdpa_kernel(backend), theirs)  # type: ignore[misc]  # noqa: E731
        try:
            attempt()
        except RuntimeError:
            continue  # this device or mask is none of the backend's
        forward[f"sdpa {name}"] = attempt
    backward = {}
    for name, function in forward.items():
        mixed = function()
        gradient = torch.ones_like(mixed)
        backward[name] = lambda mixed=mixed, gradient=gradient: torch.autograd.grad(  # type: ignore[misc]
            mixed, (queries, keys, values), gradient, retain_graph=True
        )
    pairs = int((intervals.end_BT - intervals.first_BT).sum()) * options.batch // len(intervals.first_BT)
    operations = 4 * pairs * options.heads * options.size
    for direction, functions, times in (("forward", forward, 1.0), ("backward", backward, 2.5)):
        found = medians(functions, device, options.rounds)
        fastest = min(value for name, value in found.items() if name.startswith("sdpa"))
        line = {
            "op": "flash_attention", "kind": kind, "direction": direction, "tokens": count,
            "heads": [options.heads, options.kv_heads], "size": options.size, **facts(device, dtype),
            "milliseconds": {name: round(value * 1e3, 3) for name, value in found.items()},
            "times_as_fast_as_sdpa": {
                name: round(fastest / value, 2) for name, value in found.items() if not name.startswith("sdpa")
            },
            "share_of_product_rate": {
                name: round(operations * times / value / rate, 3) for name, value in found.items()
            },
        }  # fmt: skip
        print(json.dumps(line), flush=True)


def under(context, function):  # type: ignore[no-untyped-def]
    with context:
        return function()


if __name__ == "__main__":
    main()
