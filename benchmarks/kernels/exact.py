"""The price of `exact`: its products beside torch's own, and the engine in `exact` beside itself in `fast`.

    python benchmarks/kernels/exact.py [--device cuda] [--dtype float32 ...] [--rounds 51]

Products are those of one layer of a model and of its head, whose rows are fp32. The engine answers two works on random
weights: `scores`, questions with four one-token choices behind the demonstrations of their subject, and greedy `texts`.
On a processor the model is SmolLM2-135M with 4 of its 30 layers; on a GPU it has the shape of Llama 3.2 1B.
``times_fast`` is the median, over the rounds, of the time in `exact` by that in `fast`.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from collections.abc import Callable
from typing import Any

import torch
from interleaved import facts, times
from providers import DISPATCHED, LARGE, LINE, ONE, PLAIN, SMALL, every_dtype, implementations, normal, shapes, tell
from torch.nn import functional as F

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.architectures.options import ModelOptions
from evalharness.stack.engine.engine import Engine, Numerics
from evalharness.stack.engine.requests import GenerateJob, ScoreJob, answers
from evalharness.stack.kernels.exact_linear import exact_linear
from evalharness.stack.kernels.op import exact_refusal, exactly

SMOLLM2 = {"layers": 4, "width": 576, "heads": 9, "kv_heads": 3, "ffn_width": 1536, "vocab_size": 49_152}
ONE_BILLION = {"layers": 16, "width": 2048, "heads": 32, "kv_heads": 8, "ffn_width": 8192, "vocab_size": 128_256}
TINY = {"layers": 1, "width": 32, "heads": 4, "kv_heads": 2, "ffn_width": 64, "vocab_size": 100}
PRODUCTS = {
    SMALL: {"rows": (1, 20), "width": 32, "inner": 64, "vocabulary": 100},
    LINE: {"rows": (1024,), "width": 576, "inner": 1536, "vocabulary": 49_152},
    ONE: {"rows": (1,), "width": 576, "inner": 1536, "vocabulary": 49_152},
    LARGE: {"rows": (1, 64, 1024), "width": 4096, "inner": 14_336, "vocabulary": 128_256},
}
HEAD_ROWS = 128
"""Of the vocabulary's product at most: few tokens of a line are scored."""


def products(asked: argparse.Namespace) -> None:
    kinds = shapes(asked, small=SMALL, large=LARGE, line=LINE, one=ONE)
    for case, kind in kinds.items():
        shape = PRODUCTS[kind]
        for outputs, inputs, wide in (
            (2 * shape["inner"], shape["width"], False),
            (shape["width"], shape["inner"], False),
            (shape["vocabulary"], shape["width"], True),
        ):
            weight = normal(asked, outputs, inputs)
            if wide and asked.device == "cpu":
                weight = weight.float()  # as the engine keeps it there
            for rows in shape["rows"]:
                x = normal(asked, min(rows, HEAD_ROWS) if wide else rows, inputs)
                price(asked, case, x.float() if wide else x, weight)


def price(asked: argparse.Namespace, case: str, x: torch.Tensor, weight: torch.Tensor) -> None:
    plain = weight.to(x.dtype)
    calls = implementations("exact_linear", asked, lambda module: module.exact_linear(x, weight))
    calls |= {DISPATCHED: under_exactly(x, weight), PLAIN: lambda: F.linear(x, plain)}
    tell(
        "exact_linear, logits" if len(weight) == PRODUCTS[case]["vocabulary"] else "exact_linear",
        "forward",
        {"rows": len(x), "outputs": len(weight), "inputs": weight.shape[1]},
        calls,
        asked,
        case=case,
        bytes=x.nbytes + weight.nbytes + len(x) * len(weight) * x.itemsize if len(x) == 1 else None,
        operations=2 * len(x) * weight.numel() if len(x) > 1 else None,
    )


def under_exactly(x: torch.Tensor, weight: torch.Tensor) -> Callable[[], object]:
    def computed() -> object:
        with exactly():
            return exact_linear(x, weight)

    return computed


# --------------------------------------------------------------------------- the engine


def engine(asked: argparse.Namespace) -> None:
    cuda = asked.device == "cuda"
    shape = TINY if asked.small else ONE_BILLION if cuda else SMOLLM2
    options = ModelOptions.model_validate({**shape, "tied_embeddings": True})
    plain = Decoder(options.to_config(shape["vocab_size"], 4096, None, ()))
    initialize(plain, 0)
    plain = plain.to(asked.device, asked.dtype).eval().requires_grad_(False)
    models: dict[Numerics, Decoder] = {"fast": copy.deepcopy(plain), "exact": plain}
    for numerics, model in models.items():
        model.pack(exact=numerics == "exact")
    subjects, each, shared, own = (2, 2, 6, 3) if asked.small else (20, 20, 700, 75) if cuda else (2, 4, 300, 40)
    texts, prompt, tokens = (2, 4, 2) if asked.small else (64, 128, 128) if cuda else (8, 30, 16)
    asked_for = {
        "scores": lambda: score_jobs(shape["vocab_size"], subjects, each, shared, own),
        "texts": lambda: text_jobs(shape["vocab_size"], texts, prompt, tokens),
    }
    for work, jobs in asked_for.items():
        calls = {numerics: lambda n=numerics, jobs=jobs: serve(models[n], n, jobs()) for numerics in models}
        rounds = times(calls, torch.device(asked.device), 1 if asked.small else min(asked.rounds, 5), budget=6.0)
        told = {"op": "exact", "passes": work, "case": "engine", "shape": shape, **facts(plain.device, asked.dtype)}
        told["milliseconds"] = {name: round(1000 * statistics.median(found), 2) for name, found in rounds.items()}
        ratios = [exact / fast for exact, fast in zip(rounds["exact"], rounds["fast"], strict=True)]
        told["times_fast"] = float(f"{statistics.median(ratios):.4g}")
        print(json.dumps(told), flush=True)


def serve(model: Decoder, numerics: Numerics, jobs: list[Any]) -> None:
    batch_tokens = 8192 if model.device.type == "cuda" else 1024
    answers(Engine(model, lambda ids: "", numerics=numerics, batch_tokens=batch_tokens, guesses=0), jobs)
    if model.device.type == "cuda":
        torch.cuda.synchronize()


def score_jobs(vocabulary: int, subjects: int, each: int, shared: int, own: int) -> list[ScoreJob]:
    random = torch.Generator().manual_seed(0)
    jobs = []
    for _ in range(subjects):
        common = torch.randint(20, vocabulary, (shared,), generator=random).tolist()
        for number in range(each):
            asked = (*common, *torch.randint(20, vocabulary, (own + number,), generator=random).tolist())
            jobs += [ScoreJob(ids=(*asked, letter), start=len(asked)) for letter in range(10, 14)]
    return jobs


def text_jobs(vocabulary: int, texts: int, prompt: int, tokens: int) -> list[GenerateJob]:
    random = torch.Generator().manual_seed(1)
    prompts = torch.randint(20, vocabulary, (texts, prompt), generator=random).tolist()
    return [GenerateJob(ids=tuple(ids), max_tokens=tokens) for ids in prompts]


def main(asked: argparse.Namespace) -> None:
    if (refusal := exact_refusal(torch.device(asked.device), asked.dtype)) is not None:
        raise SystemExit(f"exact cannot be measured here: {refusal}")
    products(asked)
    engine(asked)


if __name__ == "__main__":
    for asked in every_dtype(__doc__):
        main(asked)
