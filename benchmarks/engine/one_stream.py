"""One greedy text in fp32 beside transformers: tokens a second of both, and the memory bandwidth of the same run.

    python benchmarks/engine/one_stream.py [--pairs 3] [--tokens 128]

Ours is the engine on the embedded SmolLM2, with and without guessing ahead; the peer is transformers' `generate` with
its cache, on the folder that `evalharness convert` writes from the same weights. Both continue the same three texts
(written here); the first of each is a warm-up. The two take turns in one process. Prints one JSON line with medians,
all runs, and the bandwidth of a plain copy, of which decoding one text can use no more than all: each token reads every
weight. Refuses to start on a loaded machine.
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
from whole_runs import LOAD

from evalharness.backends import stack
from evalharness.stack.engine.engine import GUESSES, Engine
from evalharness.stack.engine.requests import GenerateJob, answers

PROMPTS = (
    "The history of the lighthouse begins",
    "Question: A baker sells 12 loaves in the morning and 9 in the afternoon. How many does he sell?\nAnswer: He sells",
    "def mean(values):\n    ",
)


def bandwidth() -> float:
    """GB/s of reading and writing 512 MB."""
    source = torch.ones(1 << 26)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(5):
        began = time.perf_counter()
        target.copy_(source)
        best = max(best, 2 * source.numel() * 4 / (time.perf_counter() - began) / 1e9)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=128)
    options = parser.parse_args()
    if os.getloadavg()[0] > LOAD:
        raise SystemExit(f"the machine is busy (load {os.getloadavg()[0]:.2f}); nothing is measured")
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as place:
        stack.convert("smollm2", Path(place) / "peer")
        peer = AutoModelForCausalLM.from_pretrained(Path(place) / "peer", dtype=torch.float32).eval()
    peer.generation_config.eos_token_id = None  # neither side ends before the last token
    backend = stack.load("smollm2")
    model = next(iter(backend._ready().values())).model
    prompts = [backend.tokenizer.encode(prompt) for prompt in PROMPTS]

    def ours(ids, guesses):
        job = GenerateJob(ids=tuple(ids), max_tokens=options.tokens)
        began = time.perf_counter()
        [[text]] = answers(Engine(model, backend.tokenizer.decode, guesses=guesses), [job])
        return options.tokens / (time.perf_counter() - began), list(text.ids)

    @torch.inference_mode()
    def theirs(ids):
        began = time.perf_counter()
        found = peer.generate(torch.tensor([ids]), max_new_tokens=options.tokens, do_sample=False)
        return options.tokens / (time.perf_counter() - began), found[0, len(ids) :].tolist()

    rates: dict[str, list[float]] = {"ours": [], "without_guesses": [], "transformers": []}
    alike = 0
    for pair in range(options.pairs + 1):
        for ids in prompts:
            mine, own = ours(ids, GUESSES)
            plain, same = ours(ids, 0)
            other, found = theirs(ids)
            if pair:  # the first turn warms up
                rates["ours"].append(mine)
                rates["without_guesses"].append(plain)
                rates["transformers"].append(other)
                alike += own == same == found
    medians = {name: statistics.median(found) for name, found in rates.items()}
    size = sum(parameter.numel() for parameter in peer.parameters()) * 4 / 1e9
    print(
        json.dumps(
            {
                "tokens_per_second": {name: round(value, 2) for name, value in medians.items()},
                "spread": {name: [round(min(found), 2), round(max(found), 2)] for name, found in rates.items()},
                "ratio": round(medians["ours"] / medians["transformers"], 2),
                "ratio_without_guesses": round(medians["without_guesses"] / medians["transformers"], 2),
                "same_texts": f"{alike} of {options.pairs * len(prompts)}",
                "copy_gigabytes_per_second": round(bandwidth(), 1),
                "weights_read_gigabytes_per_second_without_guesses": round(medians["without_guesses"] * size, 1),
                "threads": torch.get_num_threads(),
            }
        )
    )


if __name__ == "__main__":
    main()
