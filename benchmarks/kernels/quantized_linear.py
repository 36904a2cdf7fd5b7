"""Products with weights in eight and four bits, beside products with whole weights, at several numbers of rows.

Cycles through several weights, so that each is read from memory as in a pass. Prints a JSON line for each number of
rows, with the times that a product is as fast as the fastest with whole weights of that dtype and of fp32.

    python benchmarks/kernels/quantized_linear.py [--device cuda] [--dtype bfloat16] [--inputs 576] [--outputs 1536]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import torch
from interleaved import ceilings, facts, medians
from torch.nn.functional import linear

from evalharness.stack.kernels import int4_linear as int4
from evalharness.stack.kernels import int8_linear as int8
from evalharness.stack.kernels.op import using
from evalharness.stack.layers.linear import PackedLinear, can_pack

LAYERS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--inputs", type=int, default=576)
    parser.add_argument("--outputs", type=int, default=1536)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 8, 16, 64])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    with torch.inference_mode():
        bandwidth = ceilings(device, dtype)["copy_bytes_a_second"]
        whole = [torch.randn(options.outputs, options.inputs, device=device) for _ in range(LAYERS)]
        for rows in options.rows:
            compare(rows, whole, dtype, bandwidth, options.rounds)


def compare(rows: int, whole: list[torch.Tensor], dtype: torch.dtype, bandwidth: float, rounds: int) -> None:
    device = whole[0].device
    x = torch.randn(rows, whole[0].shape[1], device=device)
    functions: dict[str, Callable[[], object]] = {}
    read: dict[str, int] = {}
    for kind in dict.fromkeys((torch.float32, dtype)):
        name = str(kind).removeprefix("torch.")
        given, weights = x.to(kind), [weight.to(kind) for weight in whole]
        functions[name] = every(lambda weight, given=given: linear(given, weight), weights)  # type: ignore[misc]
        read[name] = weights[0].nbytes
        if can_pack(device, kind):
            layers = [PackedLinear(weight, None) for weight in weights]
            functions[f"{name} packed"] = every(lambda layer, given=given: layer(given), layers)  # type: ignore[misc]
            read[f"{name} packed"] = weights[0].nbytes
    given = x.to(dtype)
    for name in ["torch", *(["triton"] if device.type == "cuda" else [])]:
        eights = [int8.quantize(weight) for weight in whole]
        fours = [int4.quantize(weight) for weight in whole]
        fours = [int4.for_processor(weight) for weight in fours]
        functions[f"int8 {name}"] = under(name, every(lambda weight: int8.int8_linear(given, weight), eights))
        functions[f"int4 {name}"] = under(name, every(lambda weight: int4.int4_linear(given, weight), fours))
        read[f"int8 {name}"], read[f"int4 {name}"] = eights[0].bytes, fours[0].bytes
    found = medians(functions, device, rounds)
    same, wide = (
        min(value for name, value in found.items() if name.startswith(kind))
        for kind in (str(dtype).removeprefix("torch."), "float32")
    )
    print(
        json.dumps({
            "op": "int8_linear, int4_linear", "rows": rows, "weight": list(whole[0].shape), **facts(device, dtype),
            "microseconds": {name: round(value / LAYERS * 1e6, 1) for name, value in found.items()},
            "times_as_fast_as_whole": {k: round(same / v, 2) for k, v in found.items() if k.startswith("int")},
            "times_as_fast_as_fp32": {k: round(wide / v, 2) for k, v in found.items() if k.startswith("int")},
            "share_of_copy_bandwidth": {k: round(read[k] * LAYERS / v / bandwidth, 2) for k, v in found.items()},
        }),
        flush=True,
    )  # fmt: skip


def every(function: Callable[..., object], weights: list) -> Callable[[], object]:  # type: ignore[type-arg]
    return lambda: [function(weight) for weight in weights]


def under(name: str, function: Callable[[], object]) -> Callable[[], object]:
    def computed() -> object:
        with using(name):
            return function()

    return computed


if __name__ == "__main__":
    main()
