"""The engine on a GPU beside transformers, on a model of 1.1 B random weights in bf16 (the shape of Llama 3.2 1B).

    python benchmarks/engine/gpu.py [--device cuda] [--rounds 3]

Two works, each by both sides in turn, in one process, on the same weights:

- `scores`: questions of 57 subjects with 5 demonstrations each and four one-token choices (the sizes of MMLU: about 700
  tokens that a subject's questions share, 90 of their own). transformers gets each question once, as lm-eval groups
  one-token choices, in batches of equal lengths by padding on the left, and projects the last position only.
- `texts`: 64 prompts of 128 tokens, 128 tokens each, greedy; transformers with its static cache and torch.compile.

Prints JSON lines: seconds of each round after one that is not counted, the ratio of the medians, and how far both sides
are from fp32. With `--device
cpu` the model is tiny: that only shows that the script runs.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.checkpoints.load import load_model
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import GenerateJob, ScoreJob, answers

ONE_BILLION = {
    "vocab_size": 128_256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "tie_word_embeddings": True,
}
TINY = {**ONE_BILLION, "vocab_size": 500, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}  # fmt: skip
LETTERS = (10, 11, 12, 13)
CHECKED = 16
"""Questions that are compared with fp32."""


def questions(vocabulary: int, subjects: int, each: int, shared: int, own: int) -> list[tuple[int, ...]]:
    random = torch.Generator().manual_seed(0)

    def ids(count: int) -> list[int]:
        return torch.randint(20, vocabulary, (count,), generator=random).tolist()

    asked = []
    for _ in range(subjects):
        preamble = ids(shared + int(torch.randint(-100, 100, (1,), generator=random)) if shared > 200 else shared)
        asked += [(*preamble, *ids(own + number % 30)) for number in range(each)]
    return asked


def our_scores(model: Decoder, asked: list[tuple[int, ...]]) -> list[list[float]]:
    engine = Engine(model, lambda ids: "", batch_tokens=8192 if model.device.type == "cuda" else 1024)
    jobs = [ScoreJob(ids=(*ids, letter), start=len(ids)) for ids in asked for letter in LETTERS]
    found = [result.log_likelihoods[0] for result in answers(engine, jobs)]
    return [found[begin : begin + 4] for begin in range(0, len(found), 4)]


@torch.inference_mode()
def their_scores(model: Any, asked: list[tuple[int, ...]], batch: int = 32) -> list[list[float]]:
    order = sorted(range(len(asked)), key=lambda number: -len(asked[number]))
    found: list[list[float]] = [[] for _ in asked]
    for begin in range(0, len(order), batch):
        numbers = order[begin : begin + batch]
        longest = len(asked[numbers[0]])
        ids = torch.zeros(len(numbers), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, number in enumerate(numbers):
            ids[row, longest - len(asked[number]) :] = torch.tensor(asked[number])
            mask[row, longest - len(asked[number]) :] = 1
        ids, mask = ids.to(model.device), mask.to(model.device)
        logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=1, use_cache=False).logits[:, -1].float()
        for number, row in zip(numbers, logits.log_softmax(-1)[:, list(LETTERS)].tolist(), strict=True):
            found[number] = row
    return found


def our_texts(model: Decoder, prompts: list[tuple[int, ...]], tokens: int) -> list[list[int]]:
    engine = Engine(model, lambda ids: "")
    jobs = [GenerateJob(ids=ids, max_tokens=tokens) for ids in prompts]
    return [list(result[0].ids) for result in answers(engine, jobs)]


@torch.inference_mode()
def their_texts(model: Any, prompts: list[tuple[int, ...]], tokens: int) -> list[list[int]]:
    ids = torch.tensor(prompts, device=model.device)
    static = {"cache_implementation": "static"} if model.device.type == "cuda" else {}
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens,
        pad_token_id=0, **static,
    )  # fmt: skip
    return out[:, ids.shape[1] :].tolist()


def timed(work: Callable[[], Any], cuda: bool) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began, found


def main() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--each", type=int, default=20, help="questions of a subject")
    options = parser.parse_args()
    cuda = options.device == "cuda"
    shape = ONE_BILLION if cuda else TINY
    torch.manual_seed(0)
    # No end of text: random weights say it now and then.
    config = LlamaConfig(**shape, max_position_embeddings=4096, bos_token_id=None, eos_token_id=None)
    with tempfile.TemporaryDirectory() as folder:
        LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
        # Read back, as `to` has rounded the rotary frequencies too.
        theirs = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(options.device).eval()
        model, _ = load_model(Path(folder), torch.bfloat16, options.device)
        if not cuda:
            model.pack()
    asked = questions(shape["vocab_size"], *((57, options.each, 700, 75) if cuda else (3, 4, 60, 10)))
    prompts = questions(shape["vocab_size"], 64, 1, 100, 28) if cuda else questions(500, 4, 1, 10, 4)
    tokens = 128 if cuda else 8
    works: dict[str, dict[str, Callable[[], Any]]] = {
        "scores": {"ours": lambda: our_scores(model, asked), "transformers": lambda: their_scores(theirs, asked)},
        "texts": {
            "ours": lambda: our_texts(model, prompts, tokens),
            "transformers": lambda: their_texts(theirs, prompts, tokens),
        },
    }
    told: dict[str, Any] = {"device": torch.cuda.get_device_name() if cuda else "cpu", "questions": len(asked)}
    told["difference_from_fp32"] = differences(model, theirs, asked[:: max(1, len(asked) // CHECKED)])
    for work, sides in works.items():
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        results = {}
        for number in range(options.rounds + 1):
            for side, run in sides.items():
                took, results[side] = timed(run, cuda)
                if number:
                    seconds[side].append(round(took, 3))
        ratio = statistics.median(seconds["transformers"]) / statistics.median(seconds["ours"])
        told[work] = {"seconds": seconds, "ratio": round(ratio, 2), "agree": agreement(work, results)}
        print(json.dumps(told), flush=True)


def differences(model: Decoder, theirs: Any, asked: list[tuple[int, ...]]) -> dict[str, float]:
    """The largest error of a log-likelihood of each side; transformers in fp32, a question at a time, is right."""
    right = their_scores(copy.deepcopy(theirs).float(), asked, batch=1)
    sides = {"ours": our_scores(model, asked), "transformers": their_scores(theirs, asked)}
    return {side: round(largest_difference(found, right), 4) for side, found in sides.items()}


def largest_difference(found: list[list[float]], right: list[list[float]]) -> float:
    return max(abs(a - b) for one, other in zip(found, right, strict=True) for a, b in zip(one, other, strict=True))


def agreement(work: str, results: dict[str, Any]) -> float:
    """The largest difference of a log-likelihood; the share of the tokens of texts that are alike."""
    if work == "scores":
        return round(largest_difference(results["ours"], results["transformers"]), 4)
    pairs = list(zip(results["ours"], results["transformers"], strict=True))
    alike = [a == b for one, other in pairs for a, b in zip(one, other, strict=True)]
    return round(sum(alike) / len(alike), 4)


if __name__ == "__main__":
    main()
