"""LoRA on SmolLM2-135M beside PEFT on transformers: tokens a second, memory, and the loss of every step.

    python benchmarks/adaptation/lora.py [--steps 16] [--batch 4] [--context 256] [--rank 8] [--targets all-linear]
    python benchmarks/adaptation/lora.py --dropout 0.05

The model is the embedded one, in fp32, written as a folder from which both sides read it; both begin with the same
adapter, and learn from the same batches, which are this project's documentation. Two processes, one for each side, take
turns of a few steps with the same AdamW (fused) and clipping; only one computes at a time. Ours is the model, loss and
step of a training; the peer is `PeftModel` in the plain loop that one writes first. Prints one JSON line; the first
turn of each side is not timed. Memory is the peak of the whole process, and how much of it training has added.
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
from pathlib import Path
from typing import Any

TURN = 2
"""Steps between which a side is not interrupted."""
ADAMW: dict[str, Any] = {"lr": 2e-4, "betas": (0.9, 0.95), "weight_decay": 0.0}
CLIP = 1.0
DOCUMENTATION = Path(__file__).parents[2] / "docs"


class Side:
    """A process that trains when it is told to."""

    def __init__(self, name: str, folder: Path, options: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "--side", name, "--folder", str(folder), "--threads", str(options.threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.seconds: list[float] = []
        """A step, in the mean of each turn."""
        self.cpu_seconds: list[float] = []
        """The same, of the process's threads together."""
        self.losses: list[float] = []
        self.trained = self.read()
        """Numbers that are trained."""

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


def prepare(folder: Path, options: argparse.Namespace) -> None:
    """The model's folder, the adapter that both begin with, and the batches."""
    import torch

    from evalharness.backends import stack
    from evalharness.stack.adaptation.lora import add_adapter, save_adapter
    from evalharness.stack.adaptation.lora_options import LoraOptions
    from evalharness.stack.checkpoints.load import load_model, load_tokenizer

    stack.convert("smollm2", folder / "model")
    decoder, _ = load_model(folder / "model")
    targets = tuple(options.targets.split(","))
    add_adapter(decoder, LoraOptions(rank=options.rank, alpha=16, dropout=options.dropout, targets=targets), seed=0)
    save_adapter(folder / "adapter", decoder, base=str(folder / "model"))
    tokenizer = load_tokenizer(folder / "model")
    texts = [path.read_text(encoding="utf-8") for path in sorted(DOCUMENTATION.glob("*.md"))]
    ids = torch.tensor([id for ids in tokenizer.encode_batch(texts) for id in ids])
    length = options.context + 1
    needed = options.steps * options.batch
    if (there := len(ids) // length) < needed:
        raise SystemExit(f"{DOCUMENTATION} holds {there} sequences, but {needed} are needed; take fewer steps.")
    order = torch.randperm(there, generator=torch.Generator().manual_seed(0))[:needed]
    torch.save(ids[: there * length].view(there, length)[order].split(options.batch), folder / "batches.pt")


def ours(folder: Path) -> tuple[int, Callable[[Any], float]]:
    """Numbers that are trained, and a step, which takes ids of shape [B, T + 1] and returns the mean loss."""
    import torch

    from evalharness.stack.adaptation.lora import adapter_parameters, load_adapter
    from evalharness.stack.checkpoints.load import load_model
    from evalharness.stack.training.groups import OptimizerRule
    from evalharness.stack.training.model import TrainingModel
    from evalharness.stack.training.objectives import Batch
    from evalharness.stack.training.optimizers import make_optimizers
    from evalharness.stack.training.processes import Processes
    from evalharness.stack.training.step import backward, update

    torch.use_deterministic_algorithms(True)
    decoder, _ = load_model(folder / "model")
    load_adapter(decoder, folder / "adapter")
    model = TrainingModel(decoder.train())
    rule = OptimizerRule(rate=ADAMW["lr"], betas=ADAMW["betas"], weight_decay=ADAMW["weight_decay"])
    optimizers = make_optimizers(adapter_parameters(decoder), [rule])
    alone, device = Processes(), torch.device("cpu")

    def step(ids: Any) -> float:
        weights_BT = torch.ones(len(ids), ids.shape[1] - 1)
        batch = Batch(ids[:, :-1], ids[:, 1:], weights_BT, torch.arange(ids.shape[1] - 1), None, None)
        loss = backward(model, [batch], alone, device, CLIP).loss
        update(model, optimizers)
        return loss

    return sum(parameter.numel() for _, parameter in adapter_parameters(decoder)), step


def peer(folder: Path) -> tuple[int, Callable[[Any], float]]:
    import torch
    from peft import PeftModel
    from torch import nn
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, folder / "adapter", is_trainable=True).train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, **ADAMW, fused=True)

    def step(ids: Any) -> float:
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return sum(parameter.numel() for parameter in parameters), step


def compute(name: str, folder: Path, threads: int) -> None:
    """What a side does: answers lines of standard input with lines of JSON."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    say = sys.stdout
    sys.stdout = sys.stderr
    trained, step = (ours if name == "ours" else peer)(folder)
    batches = torch.load(folder / "batches.pt")
    before = megabytes("VmRSS")
    print(json.dumps(trained), file=say, flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[0] == "memory":
            answer: Any = {"peak": megabytes("VmHWM"), "added": megabytes("VmHWM") - before}
        else:
            began, cpu_began = time.perf_counter(), time.process_time()
            losses = [step(batch) for batch in batches[int(words[1]) : int(words[2])]]
            answer = {
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time() - cpu_began,
                "losses": losses,
            }
        print(json.dumps(answer), file=say, flush=True)


def megabytes(key: str) -> float:
    """Of this process (Linux): VmRSS, what it holds; VmHWM, the most that it held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1.024e-3 for line in lines if line.startswith(f"{key}:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--batch", type=int, default=4, help="sequences of a step")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--targets", default="all-linear", help="names, between commas")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--side", choices=("ours", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        compute(options.side, options.folder, options.threads)
        return
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), options)
        sides = {side: Side(side, Path(name), options) for side in ("ours", "peer")}
        for begin in range(0, options.steps, TURN):
            end = min(begin + TURN, options.steps)
            for side in sides.values():
                took = side.ask("train", begin, end)
                side.losses += took["losses"]
                if begin:
                    side.seconds.append(took["seconds"] / (end - begin))
                    side.cpu_seconds.append(took["cpu_seconds"] / (end - begin))
        memory = {side: sides[side].ask("memory") for side in sides}
    print(json.dumps(told(options, load, sides, memory)))


def told(
    options: argparse.Namespace, load: float, sides: dict[str, Side], memory: dict[str, dict[str, float]]
) -> dict[str, Any]:
    tokens = options.batch * options.context
    mine, theirs = sides["ours"], sides["peer"]
    ratios = [other / own for own, other in zip(mine.seconds, theirs.seconds, strict=True)]
    return {
        **{
            key: getattr(options, key) for key in ("steps", "batch", "context", "rank", "dropout", "targets", "threads")
        },
        "load": round(load, 1),
        "trained_parameters": {name: side.trained for name, side in sides.items()},
        "tokens_a_second": {name: round(tokens / statistics.median(side.seconds)) for name, side in sides.items()},
        "best_turn": {name: round(tokens / min(side.seconds)) for name, side in sides.items()},
        "ratio": round(statistics.median(ratios), 3),
        "ratio_of_best_turns": round(min(theirs.seconds) / min(mine.seconds), 3),
        "cpu_seconds_a_step": {name: round(min(side.cpu_seconds), 3) for name, side in sides.items()},
        "peak_megabytes": {name: round(each["peak"]) for name, each in memory.items()},
        "megabytes_of_training": {name: round(each["added"]) for name, each in memory.items()},
        "first_and_last_loss": {
            name: [round(side.losses[place], 4) for place in (0, -1)] for name, side in sides.items()
        },
        "largest_difference_of_losses": max(abs(a - b) for a, b in zip(mine.losses, theirs.losses, strict=True)),
    }


if __name__ == "__main__":
    main()
