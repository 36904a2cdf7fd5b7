"""A mixture of experts, from the router's scores to each token's sum; forward and with the backward pass.

The op as callers have it is the layer, which on a processor passes one expert after another.
python benchmarks/kernels/experts.py [--device cuda] [--dtype float32 ...] [--rounds 51]
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from providers import DISPATCHED, PLAIN, both_passes, every_dtype, implementations, normal, shapes, tell

from evalharness.stack.layers.experts import Experts
from evalharness.stack.layers.feedforward import feed_forward


def plain(layer, x):
    """As the first Mixtral of transformers."""
    top, chosen = layer.router(x).float().topk(layer.per_token, dim=-1)
    weights = top.softmax(-1).to(x.dtype)
    mixed = torch.zeros_like(x)
    for number, expert in enumerate(layer.experts):
        token, place = torch.where(chosen == number)
        mixed.index_add_(0, token, expert(x[token]) * weights[token, place, None])
    return mixed


def grouped(module, layer, x):
    """By products of all experts at once."""
    routes = module.route(layer.router(x), layer.per_token)
    entrances = [part.weight for expert in layer.experts for part in expert.gate_up.children()]
    inner = module.grouped_linear(module.send(x, routes), routes, entrances)
    outer = [expert.down.weight for expert in layer.experts]
    return module.mix(module.grouped_linear(layer.experts[0].between(inner), routes, outer), routes)


def main(asked: argparse.Namespace) -> None:
    kinds = shapes(
        asked,
        small=(8, 16, 24, 3),
        large=(8192, 4096, 14336, 8),
        line=(1024, 576, 1536, 4),
        one=(1, 576, 1536, 4),
        training=(4096, 128, 320, 4),
    )
    for case, (tokens, width, inner, experts) in kinds.items():
        layer = Experts(width, [feed_forward("swiglu", width, inner) for _ in range(experts)], 2)
        layer.to(asked.device, asked.dtype)
        x = normal(asked, tokens, width, gradient=tokens > 1)
        shape = {"tokens": tokens, "width": width, "inner": inner, "experts": experts, "per_token": 2}

        def forward(function, x=x):
            with torch.inference_mode():
                return function(x)

        def both(function, layer=layer, x=x):
            return both_passes(function(x), x, *layer.parameters())

        for passes, call, times in (("forward", forward, 1), ("both", both, 3)):
            if passes == "both" and tokens == 1:
                continue
            calls = implementations(
                "experts", asked, lambda module, call=call, layer=layer: call(partial(grouped, module, layer))
            )
            calls[DISPATCHED] = partial(call, layer)
            calls[PLAIN] = partial(call, partial(plain, layer))
            tell("experts", passes, shape, calls, asked, case=case, operations=times * 12 * tokens * width * inner)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
