"""Training beside transformers' GPT2LMHeadModel in a plain loop: tokens a second, memory, loss after equal steps.

    python benchmarks/training/throughput.py [--steps 60] [--texts FOLDER]
    python benchmarks/training/throughput.py --device cuda [--steps 60] [--batch 32]

Two processes, one for each side, take turns of a few steps on the same data, from the same initial weights, with the
same AdamW (fused) and clipping; only one computes at a time. On the CPU the model has 4 layers of width 256, a
vocabulary of 8,192, a context of 256 and a batch of 16, in fp32. With `--device cuda` it is GPT-2 124M (vocabulary
50,304, context 1,024) in bf16 by autocast, both sides with torch.compile, and the share of the peak of an H100 or H200
is told. The data are a Markov chain, or the texts of a folder. Prints one JSON line; the first turn of each side is not
timed. Memory is the peak of the whole process on the CPU, and what torch has allocated on a GPU.
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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shape import SHAPES, Shape
from token_ids import made_up, of_texts

TURN = 5
"""Steps between which a side is not interrupted."""
VALIDATION = 4
"""Batches that are not trained on."""
PEAK = 989e12
"""Operations a second of an H100 or H200 in bf16, dense, as its maker tells."""


class Side:
    """A process that trains when it is told to."""

    def __init__(self, name: str, folder: Path, options: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "--side", name, "--folder", str(folder), "--device", options.device]
        command += ["--batch", str(options.batch), "--threads", str(options.threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.seconds: list[float] = []
        """A step, in the mean of each turn."""
        self.cpu_seconds: list[float] = []
        """The same, of the process's threads together."""
        self.read()

    def read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a side has ended with {self._process.wait()}")
        return json.loads(line)

    def ask(self, *words: Any) -> Any:
        assert self._process.stdin is not None
        print(*words, file=self._process.stdin, flush=True)
        return self.read()


def compute(name: str, folder: Path, shape: Shape, threads: int) -> None:
    """What a side does: answers lines of standard input with lines of JSON."""
    import torch

    torch.set_num_threads(threads)
    if shape.device == "cuda":
        torch.set_float32_matmul_precision("high")
    if name == "ours":
        from our_loop import ours as loop
    else:
        from peer_loop import peer as loop
    step, validate = loop(shape, folder / "initial.pt")
    ids_NS = torch.from_numpy(np.load(folder / "ids.npy"))
    batches = [batch.to(shape.device) for batch in torch.split(ids_NS, shape.batch)]
    say = sys.stdout
    print(json.dumps("ready"), file=say, flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[0] == "train":
            begin, end = map(int, words[1:])
            began, cpu_began = time.perf_counter(), time.process_time()
            losses = [step(batches[VALIDATION + number]) for number in range(begin, end)]
            answer: Any = {
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time() - cpu_began,
                "loss": losses[-1],
            }
        elif words[0] == "memory":
            on_gpu = shape.device == "cuda"
            answer = torch.cuda.max_memory_allocated() / 1e6 if on_gpu else peak_megabytes()
        else:
            answer = statistics.fmean(validate(batch) for batch in batches[:VALIDATION])
        print(json.dumps(answer), file=say, flush=True)


def peak_megabytes() -> float:
    """Of this process (Linux). `getrusage` would count the process that started this one, up to its start."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1.024e-3 for line in lines if line.startswith("VmHWM:"))


def data(options: argparse.Namespace, shape: Shape, steps: int) -> NDArray[np.int64]:
    """Sequences of T + 1 ids, each of which begins with the last id of the one before, in an order drawn once."""
    needed = (steps + VALIDATION) * shape.batch
    if options.texts:
        ids = of_texts(options.texts, shape.vocabulary)
        if (there := (len(ids) - 1) // shape.context) < needed:
            raise SystemExit(f"{options.texts}: {there} sequences of text, but {needed} are needed; take fewer steps.")
    else:
        ids = made_up(needed * shape.context + 1, shape.vocabulary)
    starts_N = np.random.default_rng(0).permutation((len(ids) - 1) // shape.context)[:needed] * shape.context
    return ids[starts_N[:, None] + np.arange(shape.context + 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--device", choices=SHAPES, default="cpu")
    parser.add_argument("--batch", type=int, help="sequences of a step")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--side", choices=("ours", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    shape = SHAPES[options.device]
    options.batch = options.batch or shape.batch
    shape = replace(shape, batch=options.batch)
    if options.side:
        compute(options.side, options.folder, shape, options.threads)
        return
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "ids.npy", data(options, shape, options.steps))
        sides = {side: Side(side, folder, options) for side in ("ours", "peer")}
        for begin in range(0, options.steps, TURN):
            end = min(begin + TURN, options.steps)
            for side in sides.values():
                took = side.ask("train", begin, end)
                if begin:
                    side.seconds.append(took["seconds"] / (end - begin))
                    side.cpu_seconds.append(took["cpu_seconds"] / (end - begin))
        memory = {side: sides[side].ask("memory") for side in sides}
        losses = {side: sides[side].ask("validate") for side in sides}
    print(json.dumps(told(options, shape, load, sides, memory, losses)))


def told(
    options: argparse.Namespace,
    shape: Shape,
    load: float,
    sides: dict[str, Side],
    memory: dict[str, float],
    losses: dict[str, float],
) -> dict[str, Any]:
    seconds = {name: side.seconds for name, side in sides.items()}
    middle = {side: shape.tokens / statistics.median(turns) for side, turns in seconds.items()}
    best = {side: shape.tokens / min(turns) for side, turns in seconds.items()}
    ratios = [theirs / mine for mine, theirs in zip(seconds["ours"], seconds["peer"], strict=True)]
    found: dict[str, Any] = {
        "device": options.device,
        "threads": options.threads,
        "load": round(load, 1),
        "steps": options.steps,
        "batch": options.batch,
        "data": "texts" if options.texts else "made up",
        "tokens_a_second": {side: round(rate) for side, rate in middle.items()},
        "best_turn": {side: round(rate) for side, rate in best.items()},
        "ratio": round(statistics.median(ratios), 3),
        "cpu_seconds_a_step": {name: round(min(side.cpu_seconds), 3) for name, side in sides.items()},
        "ratio_of_best_turns": round(best["ours"] / best["peer"], 3),
        "megabytes": {side: round(value) for side, value in memory.items()},
        "memory_ratio": round(memory["peer"] / memory["ours"], 2),
        "validation_loss": {side: round(loss, 4) for side, loss in losses.items()},
    }
    if options.device == "cuda":
        found["share_of_peak"] = {side: round(rate * shape.operations / PEAK, 3) for side, rate in middle.items()}
    return found


if __name__ == "__main__":
    main()
