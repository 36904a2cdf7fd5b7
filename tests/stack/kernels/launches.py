"""``python launches.py TARGET``: what the Triton kernels would be launched with there, a line of JSON a launch.

Nothing is computed and no GPU is needed: launches are recorded in the place of Triton's own, of tensors of a processor
whose numbers do not matter. Shapes are those of large models. A process of its own, as one that interprets kernels has
no launches.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import torch
import triton
from stack.kernels.paged_texts import attention, cache_of, plan_of, texts_of
from torch import Tensor

from evalharness.stack.kernels import op as ops
from evalharness.stack.kernels.adamw import adamw
from evalharness.stack.kernels.cross_entropy import cross_entropy
from evalharness.stack.kernels.exact_linear import exact_linear
from evalharness.stack.kernels.experts import grouped_linear, mix, route, send
from evalharness.stack.kernels.flash_attention import causal, flash_attention
from evalharness.stack.kernels.glu import glu
from evalharness.stack.kernels.int4_linear import int4_linear
from evalharness.stack.kernels.int4_linear import quantize as int4
from evalharness.stack.kernels.int8_linear import int8_linear
from evalharness.stack.kernels.int8_linear import quantize as int8
from evalharness.stack.kernels.layer_norm import layer_norm
from evalharness.stack.kernels.linear_cross_entropy import linear_cross_entropy
from evalharness.stack.kernels.linear_cross_entropy.in_triton import _on_chunk
from evalharness.stack.kernels.linear_scoring import linear_scoring
from evalharness.stack.kernels.rms_norm import add_rms_norm
from evalharness.stack.kernels.rope import rope
from evalharness.stack.kernels.sampling import sample
from evalharness.stack.kernels.selective_scan import selective_scan
from evalharness.stack.kernels.shared_prefix_attention import Branch, Group, PrefixPlan, shared_prefix_attention
from evalharness.stack.kernels.store_kv import store_kv
from evalharness.stack.kernels.table import OPS
from evalharness.stack.kernels.tiles import TILE

Numbers = Callable[..., Tensor]
WIDTH, VOCABULARY = 4096, 32768
CPU = torch.device("cpu")


def rows(new: Numbers) -> None:
    """Norms, rotations and gates, forward and backward."""
    for x in add_rms_norm(new(8, WIDTH), new(8, WIDTH), new(WIDTH), 1e-5):
        x.sum().backward(retain_graph=True)
    layer_norm(new(8, WIDTH), new(WIDTH), new(WIDTH), 1e-5).sum().backward()
    for activation in ("swish", "gelu", "gelu_tanh", "relu"):
        glu(new(8, 2 * WIDTH), activation).sum().backward()
    for turned in (128, 32):
        rope(new(8, 32, 128), new(8, 1, turned), new(8, 1, turned)).sum().backward()


def products(new: Numbers) -> None:
    weight, bias = new(WIDTH, WIDTH), new(WIDTH)
    small = torch.ones(WIDTH, WIDTH)
    with torch.no_grad():
        for count in (1, 64, 256):
            exact_linear(new(count, WIDTH), weight, bias)
            exact_linear(new(count, WIDTH), weight)
            int8_linear(new(count, WIDTH), int8(small), bias)
            int4_linear(new(count, WIDTH), int4(small, 64), bias)
        if weight.dtype != torch.float32:
            exact_linear(torch.empty(8, WIDTH), weight, torch.empty(WIDTH))


def vocabulary(new: Numbers) -> None:
    width = 512
    targets, head = torch.zeros(256, dtype=torch.long), new(VOCABULARY, width)
    cross_entropy(new(256, VOCABULARY), targets).sum().backward()
    linear_cross_entropy(new(256, width), head, targets, torch.ones(256))[0].sum().backward()
    # On a GPU the factors of the products are not widened.
    _on_chunk(torch.ones(4, VOCABULARY), targets[:4], torch.ones(4), 0.0, head.dtype)
    for count in (4, 64, 256):
        for entropies in (False, True):
            linear_scoring(new(count, width).detach(), head.detach(), targets[:count, None], entropies=entropies)
    linear_scoring(new(4, width).detach(), head.detach(), targets[:4, None], exact=True)
    rules = (torch.float32, torch.int32, torch.float64, torch.float32)
    sample(new(2, VOCABULARY).detach(), torch.zeros(2).double(), *(torch.ones(2, dtype=dtype) for dtype in rules))


def attentions(new: Numbers) -> None:
    for size in (64, 128):
        queries, keys, values = new(1, 256, 8, size), new(1, 256, 2, size), new(1, 256, 2, size)
        for slopes in (None, torch.ones(8)) if size == 64 else (None,):
            flash_attention(queries, keys, values, causal(256, 256), scale=1.0, slopes_H=slopes)[0].sum().backward()
        queries, keys, values = (x.detach()[0] for x in (queries, keys, values))
        branch = Branch(0, 64, 128, slice(128, 192), 128)
        plan = PrefixPlan([Group(0, 64, slice(0, 128), (branch,))], 192, CPU)
        for exact in (False, True):
            shared_prefix_attention(queries[:64], keys[:192], values[:192], plan, scale=1.0, exact=exact)
        for lengths, paths in (([70], [None]), ([5000], [None]), ([70] * 8, [2] * 8)):
            ones = [1] * len(lengths)
            texts, pages = texts_of(lengths, ones, TILE, paths)
            cache = cache_of(pages, TILE, 2, size, queries.dtype)
            for exact in (False, True):
                attention(plan_of(texts, ones, TILE), exact=exact)(queries[: len(lengths)], cache)


def stored(new: Numbers) -> None:
    keys, places = new(4, 8, 128).detach(), torch.zeros(4, dtype=torch.long)
    store_kv(keys, keys, cache_of(2, TILE, 8, 128, keys.dtype), places, places)


def experts(new: Numbers) -> None:
    """The weights as the tokens, not aligned, and under mixed precision."""
    kinds: list[tuple[list[Tensor], list[Tensor]]] = [
        ([new(1024, 512) for _ in range(8)], [new(1024) for _ in range(8)]),
        ([new(1024, 513)[:, 1:] for _ in range(8)], [new(1024) for _ in range(8)]),
        ([torch.ones(1024, 512).requires_grad_() for _ in range(8)], [torch.ones(1024) for _ in range(8)]),
    ]
    for count in (4, 2048):
        for weights, biases in kinds:
            scores = new(count, 8)
            route(scores, 2).weights_TK.sum().backward()
            with ops.using("torch"):
                routes = route(scores, 2)
            mix(grouped_linear(send(new(count, 512), routes), routes, weights, biases), routes).sum().backward()


def others(new: Numbers) -> None:
    parts = [[new(2000).detach()] for _ in range(4)]
    adamw(*parts, step=1, rate=0.1, betas=(0.9, 0.99), epsilon=1e-8, decay=0.1)
    state = torch.ones(1, 512, 16, requires_grad=True)
    delta, decay = torch.ones(1, 600, 512, requires_grad=True), torch.ones(512, 16, requires_grad=True)
    found = selective_scan(new(1, 600, 512), delta, decay, new(1, 600, 16), new(1, 600, 16), state)
    (found[0].sum() + found[1].sum()).backward()


def launches(target: str, dtype: torch.dtype) -> Iterator[dict[str, Any]]:
    """Of all ops, in order."""
    found: list[dict[str, Any]] = []

    def new(*shape: int) -> Tensor:
        return torch.ones(shape, dtype=dtype).requires_grad_()

    def record(kernel: Any, *arguments: Any, grid: Any, warmup: bool, **named: Any) -> None:
        given = dict(zip(kernel.arg_names, arguments, strict=False)) | named
        found.append(
            {
                "op": kernel.fn.__module__.split(".")[-2],
                "kernel": kernel.__name__,
                "pointers": {
                    name: str(value.dtype).removeprefix("torch.")
                    for name, value in given.items()
                    if isinstance(value, Tensor) and name in kernel.arg_names
                },
                "constants": {each.name: given[each.name] for each in kernel.params if each.is_constexpr},
                "warps": given.get("num_warps", 4),
                "stages": given.get("num_stages", 3),
            }
        )

    triton.runtime.jit.JITFunction.run = record
    ops.triton_missing = lambda device: None
    for name in OPS:
        module = import_module(f"evalharness.stack.kernels.{name}.in_triton")
        if hasattr(module, "target_of"):
            module.target_of = lambda x: target  # type: ignore[attr-defined]
    with ops.using("triton"):
        for each in (rows, products, vocabulary, attentions, stored, experts, others):
            each(new)
    yield from found


if __name__ == "__main__":
    for dtype in (torch.float32, torch.bfloat16):
        for launch in launches(sys.argv[1], dtype):
            print(json.dumps(launch))
