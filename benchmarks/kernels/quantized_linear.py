"""Products with weights in eight and four bits, beside making such weights numbers of x first, by numbers of rows.

Cycles through several weights, so that each is read from memory as in a pass. Products with weights that were never
quantised stand beside (`whole`, `whole fp32`), on a processor packed as the engine packs them.

    python benchmarks/kernels/quantized_linear.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from providers import LARGE, LINE, ONE, PLAIN, SMALL, Call, every_dtype, implementations, normal, tell
from torch import Tensor
from torch.nn.functional import linear

from evalharness.stack.kernels import int4_linear as int4
from evalharness.stack.kernels import int8_linear as int8
from evalharness.stack.layers.linear import PackedLinear, can_pack

LAYERS = 12


@torch.inference_mode()
def main(asked: argparse.Namespace) -> None:
    outputs, inputs = (64, 32) if asked.small else (14336, 4096) if asked.device == "cuda" else (1536, 576)
    whole = [torch.randn(outputs, inputs, device=asked.device) for _ in range(2 if asked.small else LAYERS)]
    eights = [int8.quantize(weight) for weight in whole]
    fours = [int4.quantize(weight) for weight in whole]
    small = [int8.for_processor(weight) for weight in eights], [int4.for_processor(weight) for weight in fours]
    beside = products(whole, asked.dtype)
    for rows in (3,) if asked.small else (1, 8, 64):
        x = normal(asked, rows, inputs)
        case = SMALL if asked.small else LARGE if asked.device == "cuda" else ONE if rows == 1 else LINE
        shape = {"rows": rows, "inputs": inputs, "outputs": outputs, "weights": len(whole)}
        others = {name: every(product, weights, x) for name, (product, weights) in beside.items()}
        for op, weights, unpacked in (("int8_linear", small[0], eights), ("int4_linear", small[1], fours)):
            calls = implementations(
                op,
                asked,
                lambda module, op=op, weights=weights, x=x: [getattr(module, op)(x, weight) for weight in weights],
            )
            calls[PLAIN] = every(lambda x, weight: linear(x, weight.dequantized(x.dtype)), unpacked, x)
            tell(op, "forward", shape, calls | others, asked, case=case, bytes=len(whole) * weights[0].bytes)


def products(whole: list[Tensor], dtype: torch.dtype) -> dict[str, tuple[Callable[[Tensor, Any], Tensor], list[Any]]]:
    """Products with whole weights of the dtype and of fp32, and the weights of each."""
    found: dict[str, tuple[Callable[[Tensor, Any], Tensor], list[Any]]] = {}
    for name, kind in (("whole fp32", torch.float32), ("whole", dtype)):
        weights = [weight.to(kind) for weight in whole]
        if can_pack(weights[0].device, kind):
            found[name] = (lambda x, layer, kind=kind: layer(x.to(kind))), [PackedLinear(w, None) for w in weights]
        else:
            found[name] = (lambda x, weight, kind=kind: linear(x.to(kind), weight)), weights
    return found


def every(product: Callable[[Tensor, Any], Tensor], weights: list[Any], x: Tensor) -> Call:
    return lambda: [product(x, weight) for weight in weights]


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
