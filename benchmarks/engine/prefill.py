"""The rate at which the engine reads prompts beside the rate of plain matrix products, both measured in this process.

    python benchmarks/engine/prefill.py --data-dir MIRROR [--dtype float32] [--numerics fast] [--rounds 3]

The work is MMLU astronomy with 5 shots (152 questions), run once by the command, whose strings are then scored by an
engine alone, without start-up. Counted are two operations for each weight of a linear layer and computed token, for
each weight of the vocabulary and scored row, and for each number of a key and of a value that a query sees. The matrix
products are those of the same layers at 1,024 rows, by torch's plain `linear` and by the packed one that the engine
uses. Prints one JSON line. Refuses to start on a loaded machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch.nn import functional as F
from whole_runs import LOAD, asked, ours

from evalharness.backends import stack
from evalharness.stack.config import ModelConfig
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import ScoreJob, answers
from evalharness.stack.layers.linear import PackedLinear

ROWS = 1024


def shapes(config: ModelConfig) -> list[tuple[int, int]]:
    """Outputs and inputs of each linear layer of a block."""
    query, key = config.heads * config.head_dim, config.kv_heads * config.head_dim
    attention = [(query, config.width), (key, config.width), (key, config.width), (config.width, query)]
    return [*attention, *[(config.ffn_width, config.width)] * 2, (config.width, config.ffn_width)]


def operations(config: ModelConfig, jobs: list[ScoreJob]) -> tuple[int, int]:
    """Of linear layers and vocabulary, and of attention, where every distinct prefix is computed once."""
    nodes: dict[tuple[int, int], int] = {}
    rows, seen = set(), 0
    for job in jobs:
        node = 0
        for position, id in enumerate(job.ids[:-1]):
            if (node, id) not in nodes:
                nodes[node, id] = len(nodes) + 1
                seen += position + 1
            node = nodes[node, id]
            if position >= job.start - 1:
                rows.add(node)
    weights = config.layers * sum(outputs * inputs for outputs, inputs in shapes(config))
    linear = 2 * weights * len(nodes) + 2 * config.vocab_size * config.width * len(rows)
    return linear, 4 * config.layers * config.heads * config.head_dim * seen


def product_rates(config: ModelConfig, dtype: torch.dtype) -> dict[str, float]:
    """Operations a second of one block's linear layers, plain and packed."""
    weights = [torch.randn(outputs, inputs).to(dtype) for outputs, inputs in shapes(config)]
    packed = [PackedLinear(weight, None) for weight in weights]
    lines = [torch.randn(ROWS, weight.shape[1]).to(dtype) for weight in weights]
    count = 2 * ROWS * sum(weight.numel() for weight in weights)
    best = {"plain": float("inf"), "packed": float("inf")}
    for _ in range(20):
        for name in best:
            began = time.perf_counter()
            for x, weight, layer in zip(lines, weights, packed, strict=True):
                if name == "plain":
                    F.linear(x, weight)
                else:
                    layer(x)
            best[name] = min(best[name], time.perf_counter() - began)
    return {name: count / seconds for name, seconds in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--numerics", choices=("fast", "exact"), default="fast")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if (load := os.getloadavg()[0]) > LOAD:
        raise SystemExit(f"the machine is loaded ({load:.1f}): wait until nothing else runs.")
    with tempfile.TemporaryDirectory() as place:
        ours("mmlu", "fast/float32", Path(place) / "run", options, dict(os.environ))
        requests = asked(Path(place) / "run")
    backend = stack.load("smollm2", dtype=options.dtype)
    model = next(iter(backend._ready().values())).model
    jobs = []
    for request in requests:
        context = backend.tokenizer.encode(request["context"])
        ids = backend.tokenizer.encode(request["context"] + request["continuation"])
        jobs.append(ScoreJob(ids=tuple(ids), start=len(context)))
    linear, attention = operations(model.config, jobs)
    seconds = []
    with torch.inference_mode():
        for _ in range(options.rounds):
            engine = Engine(model, backend.tokenizer.decode, numerics=options.numerics)
            began = time.perf_counter()
            answers(engine, jobs)
            seconds.append(time.perf_counter() - began)
        products = product_rates(model.config, model.dtype)
    rate = (linear + attention) / statistics.median(seconds)
    print(
        json.dumps(
            {
                "dtype": options.dtype,
                "numerics": options.numerics,
                "threads": torch.get_num_threads(),
                "seconds": [round(took, 2) for took in seconds],
                "gigaoperations": {"linear": round(linear / 1e9), "attention": round(attention / 1e9)},
                "gigaoperations_a_second": {
                    "engine": round(rate / 1e9),
                    **{name: round(value / 1e9) for name, value in products.items()},
                },
                "engine_beside_plain_products": round(rate / products["plain"], 2),
                "engine_beside_packed_products": round(rate / products["packed"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
