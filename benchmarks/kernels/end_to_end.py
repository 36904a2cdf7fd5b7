"""The engine and the trainer under each value of EVALHARNESS_KERNELS: tokens a second of three works.

    python benchmarks/kernels/end_to_end.py [--device cuda] [--rounds 3] [--kernels torch triton]

A model in the shape of SmolLM2-135M with random weights scores questions that share their beginnings (each with four
answers of one token) and continues texts; one of four layers of width 256 with its parts is trained. On a GPU the
shapes are Llama 3.2 1B's and GPT-2's size, in bf16, and texts are also continued from CUDA graphs. Each value has a
process of its own, with the variable in its environment; they take turns, and the first turn of each is not counted.
Prints a JSON line for each work, with what computed and how far results are from torch's, and writes
`results/end_to_end-DEVICE.json` and docs/kernels.md; with `--output` that file alone. Triton is left out on a
processor, where it is interpreted: `--small` runs it even so (set TRITON_INTERPRET=1), on tiny shapes, to see that the
script works.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from all import RESULTS, write

RECORDED = "triton, recorded"
"""Triton, whose steps of running texts are a CUDA graph."""
IMPLEMENTATIONS = ("reference", "torch", "triton", RECORDED)
WORKS = ("scoring", "decoding, 1 text", "decoding", "training")
LETTERS = (10, 11, 12, 13)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What is computed on one kind of device."""

    model: dict[str, Any]
    """Of a `ModelConfig`, for the engine."""
    trained: dict[str, Any]
    """The same, for the trainer."""
    dtype: str
    shared: int
    """Tokens with which all questions begin."""
    own: int
    questions: int
    texts: int
    said: int
    """Tokens of each text."""
    sequences: int
    context: int
    steps: int
    """Of a turn."""


def shape(vocabulary: int, width: int, layers: int, heads: int, kv_heads: int, inner: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary, "width": width, "layers": layers, "heads": heads, "kv_heads": kv_heads,
        "head_dim": width // heads, "ffn_width": inner, "norm_epsilon": 1e-5, "rope_theta": 10_000.0,
        "max_length": 4096, "tied_embeddings": True,
    }  # fmt: skip


SIZES = {
    "cpu": Sizes(
        model=shape(49152, 576, 30, 9, 3, 1536), trained=shape(8192, 256, 4, 4, 4, 768), dtype="float32",
        shared=300, own=50, questions=16, texts=16, said=24, sequences=8, context=256, steps=2,
    ),
    "cuda": Sizes(
        model=shape(128256, 2048, 16, 32, 8, 8192), trained=shape(50304, 768, 12, 12, 12, 2048), dtype="bfloat16",
        shared=700, own=80, questions=256, texts=64, said=64, sequences=8, context=1024, steps=4,
    ),
    "small": Sizes(
        model=shape(300, 32, 2, 4, 2, 48), trained=shape(300, 32, 2, 4, 2, 48), dtype="float32",
        shared=8, own=4, questions=1, texts=2, said=2, sequences=1, context=10, steps=1,
    ),
}  # fmt: skip


class Turn(NamedTuple):
    tokens: int
    result: list[float]
    """What is compared: log-likelihoods, ids or losses."""


# --------------------------------------------------------------------------- a side


def compute(work: str, sizes: Sizes, device: str, threads: int, recorded: bool) -> None:
    """What the process of a side does: a line of JSON for each line of standard input."""
    import torch

    from evalharness.stack.kernels.op import used

    torch.set_num_threads(threads)
    turn = training(sizes, device) if work == "training" else serving(work, sizes, device, recorded)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        if line.strip() == "used":
            print(json.dumps(used()), flush=True)
            continue
        began = time.perf_counter()
        tokens, result = turn()
        if device == "cuda":
            torch.cuda.synchronize()
        took = time.perf_counter() - began
        print(json.dumps({"seconds": took, "tokens": tokens, "result": result}), flush=True)


def serving(work: str, sizes: Sizes, device: str, recorded: bool) -> Callable[[], Turn]:
    """Questions scored, each time by a new engine, or texts continued."""
    import torch

    from evalharness.stack.architectures.decoder import Decoder
    from evalharness.stack.architectures.initial import initialize
    from evalharness.stack.config import ModelConfig
    from evalharness.stack.engine.engine import Engine
    from evalharness.stack.engine.recorded import cuda_graph
    from evalharness.stack.engine.requests import GenerateJob, ScoreJob, answers

    model = Decoder(ModelConfig(architecture="llama", **sizes.model))
    initialize(model, 0, 0.05)
    model = model.to(device, getattr(torch, sizes.dtype)).eval().requires_grad_(False)
    if device == "cpu":
        model.pack()
    random = torch.Generator().manual_seed(1)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(20, sizes.model["vocab_size"], (count,), generator=random).tolist())

    shared = ids(sizes.shared)
    questions = [shared + ids(sizes.own) for _ in range(sizes.questions)]
    prompts = [ids(30) for _ in range(1 if work.endswith("1 text") else sizes.texts)]

    # Texts have one engine for all turns, whose steps stay recorded.
    same = Engine(model, lambda _: "", record=cuda_graph if recorded else None)

    def score() -> Turn:
        jobs = [ScoreJob(ids=(*asked, letter), start=len(asked)) for asked in questions for letter in LETTERS]
        found = [result.log_likelihoods[0] for result in answers(Engine(model, lambda _: ""), jobs)]
        return Turn(sizes.shared + sizes.own * sizes.questions, found)

    def decode() -> Turn:
        jobs = [GenerateJob(ids=prompt, max_tokens=sizes.said) for prompt in prompts]
        found = [id for result in answers(same, jobs) for id in result[0].ids]
        return Turn(len(found), found)

    return score if work == "scoring" else decode


def training(sizes: Sizes, device: str) -> Callable[[], Turn]:
    """Steps of the trainer, without its data, log and checkpoints; a turn goes on where the last one ended."""
    import torch

    from evalharness.stack.architectures.decoder import Decoder
    from evalharness.stack.architectures.initial import initialize
    from evalharness.stack.config import ModelConfig
    from evalharness.stack.training.groups import OptimizerRule
    from evalharness.stack.training.model import TrainingModel
    from evalharness.stack.training.objectives import Batch
    from evalharness.stack.training.optimizers import make_optimizers
    from evalharness.stack.training.processes import Processes
    from evalharness.stack.training.step import backward, update

    decoder = Decoder(ModelConfig(architecture="llama", **sizes.trained))
    initialize(decoder, 0)
    model = TrainingModel(decoder.to(device), dtype=getattr(torch, sizes.dtype))
    optimizers = make_optimizers(decoder.named_parameters(), [OptimizerRule(rate=1e-3)])
    random = torch.Generator().manual_seed(1)

    def step() -> float:
        shape = (sizes.sequences, sizes.context + 1)
        ids = torch.randint(0, sizes.trained["vocab_size"], shape, generator=random)
        weights, places = torch.ones(sizes.sequences, sizes.context), torch.arange(sizes.context)
        batch = Batch(ids[:, :-1], ids[:, 1:], weights, places, None, None).to(torch.device(device))
        gradients = backward(model, [batch], Processes(), torch.device(device), 1.0)
        update(model, optimizers)
        return gradients.loss

    def turn() -> Turn:
        losses = [step() for _ in range(sizes.steps)]
        return Turn(sizes.steps * sizes.sequences * sizes.context, losses)

    return turn


# --------------------------------------------------------------------------- all sides


class Side:
    """A process that computes when it is told to; `failure` says why it ended."""

    def __init__(self, work: str, kernels: str, asked: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "--side", work, "--device", asked.device, "--threads", str(asked.threads)]
        command += ["--small"] * asked.small + ["--recorded"] * (kernels == RECORDED)
        told = kernels.partition(",")[0]
        environment = {**os.environ, "EVALHARNESS_KERNELS": told, "OMP_NUM_THREADS": str(asked.threads)}
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in `end`
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, text=True, env=environment
        )
        self.failure: str | None = None
        self.turns: list[dict[str, Any]] = []
        self._read()

    def ask(self, word: str) -> Any:
        assert self._process.stdin is not None
        if self.failure is None:
            print(word, file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        if self.failure is None and (line := self._process.stdout.readline()):
            return json.loads(line)
        if self.failure is None:
            self._complaints.seek(0)
            self.failure = (self._complaints.read().strip().splitlines() or ["ended"])[-1]
        return None

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._complaints.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--kernels", nargs="+", choices=IMPLEMENTATIONS)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=WORKS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--recorded", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    sizes = SIZES["small" if asked.small else asked.device]
    if asked.side:
        compute(asked.side, sizes, asked.device, asked.threads, asked.recorded)
        return

    import torch
    from interleaved import device_name

    asked.kernels = asked.kernels or [
        name
        for name in IMPLEMENTATIONS
        if asked.device == "cuda" or name not in ("triton", RECORDED) or (asked.small and name != RECORDED)
    ]
    found = {
        "device": device_name(torch.device(asked.device)), "date": date.today().isoformat(),
        "torch": torch.__version__, "threads": asked.threads, "load": round(os.getloadavg()[0], 1),
        "dtype": sizes.dtype, "lines": [],
    }  # fmt: skip
    for work in asked.works:
        line = measured(work, asked)
        print(json.dumps(line), flush=True)
        found["lines"].append(line)
    if asked.output or not asked.small:
        write(asked.output or RESULTS / f"end_to_end-{asked.device}.json", found)
    if asked.output is None and not asked.small:
        import page

        page.write()
    raise SystemExit(any(line["failed"] for line in found["lines"]))


def measured(work: str, asked: argparse.Namespace) -> dict[str, Any]:
    names = [name for name in asked.kernels if name != RECORDED or work.startswith("decoding")]
    sides = {name: Side(work, name, asked) for name in names}
    try:
        for number in range(1 + asked.rounds):
            for side in sides.values():
                if (turn := side.ask("turn")) is not None and number:
                    side.turns.append(turn)
        used = {name: side.ask("used") for name, side in sides.items()}
    finally:
        for side in sides.values():
            side.end()
    ended = {name: side.turns for name, side in sides.items() if side.failure is None}
    rates = {
        name: statistics.median(turn["tokens"] / turn["seconds"] for turn in turns) for name, turns in ended.items()
    }
    return {
        "work": work,
        "tokens_a_second": {name: round(rate, 1) for name, rate in rates.items()},
        "seconds": {name: [round(turn["seconds"], 3) for turn in turns] for name, turns in ended.items()},
        "kernels": {name: used[name] for name in ended},
        "difference_from_torch": {
            name: difference(work, turns, ended["torch"])
            for name, turns in ended.items()
            if name != "torch" and "torch" in ended
        },
        "failed": {name: side.failure for name, side in sides.items() if side.failure is not None},
    }


def difference(work: str, turns: list[dict[str, Any]], others: list[dict[str, Any]]) -> float:
    """The largest of a log-likelihood or a loss; of texts the share of tokens that are other ones."""
    pairs = [
        pair
        for one, other in zip(turns, others, strict=True)
        for pair in zip(one["result"], other["result"], strict=True)
    ]
    if work.startswith("decoding"):
        return round(sum(one != other for one, other in pairs) / len(pairs), 4)
    return float(f"{max(abs(one - other) for one, other in pairs):.3g}")


if __name__ == "__main__":
    main()
