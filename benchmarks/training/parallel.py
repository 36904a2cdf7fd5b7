"""Sharded data parallelism (FSDP2) beside DistributedDataParallel: tokens a second of two processes (gloo).

    python benchmarks/training/parallel.py [--turns 6] [--steps 4] [--threads 1]

Two pairs of processes, one for each way, take turns of a few steps; only one pair computes at a time. Model, loss,
clipping and AdamW are those of `evalharness pretrain`: 4 layers of width 256, a vocabulary of 8,192, a context of 256
and a batch of 16 over both processes, in fp32, on random tokens. Prints one JSON line; the first turn of each pair is
not timed.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

VOCABULARY, CONTEXT, BATCH, WIDTH, LAYERS, HEADS = 8192, 256, 16, 256, 4, 4
WAYS = {"ddp": {}, "fsdp2": {"sharded": True}}


class Pair:
    """Two processes that train when they are told to."""

    def __init__(self, way: str, threads: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
        self._processes = [
            subprocess.Popen(
                [sys.executable, __file__, "--way", way, "--threads", str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={
                    **os.environ,
                    **shared,
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "OMP_NUM_THREADS": str(threads),
                },
            )
            for rank in range(2)
        ]
        self.seconds: list[float] = []
        """Of a step, in the mean of each turn."""

    def turn(self, steps: int) -> dict[str, Any]:
        """What the first process says after so many steps."""
        for process in self._processes:
            assert process.stdin is not None
            print(steps, file=process.stdin, flush=True)
        first, _ = map(self._heard, self._processes)
        return first

    def _heard(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):  # gloo says there that it is connected
                found: dict[str, Any] = json.loads(line)
                return found
        raise SystemExit(f"a process has ended with {process.wait()}")

    def end(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            process.wait()


def compute(way: str, threads: int) -> None:
    """What a process of a pair does: answers lines with a number of steps."""
    import torch

    torch.set_num_threads(threads)
    from evalharness.stack.training.parallel.options import ParallelOptions
    from evalharness.stack.training.processes import processes

    with processes("cpu", ParallelOptions.model_validate(WAYS[way])) as here:
        _answer(here)


def _answer(here: Any) -> None:
    import torch

    from evalharness.stack.architectures.decoder import Decoder
    from evalharness.stack.architectures.initial import initial_weights, initialize
    from evalharness.stack.config import ModelConfig
    from evalharness.stack.training.groups import DEFAULT_RULES
    from evalharness.stack.training.model import TrainingModel
    from evalharness.stack.training.objectives import Batch
    from evalharness.stack.training.optimizers import make_optimizers
    from evalharness.stack.training.step import backward, update

    config = ModelConfig(
        vocab_size=VOCABULARY,
        width=WIDTH,
        layers=LAYERS,
        heads=HEADS,
        kv_heads=HEADS,
        head_dim=WIDTH // HEADS,
        ffn_width=704,
        norm_epsilon=1e-5,
        max_length=CONTEXT,
    )
    cpu = torch.device("cpu")
    decoder = Decoder(config)
    if here.mesh is None:
        initialize(decoder, seed=0)
        model = here.wrap(TrainingModel(decoder), cpu)
        named = decoder.named_parameters()
    else:
        from evalharness.stack.training.parallel.split import Split

        with torch.device("meta"):
            trained = TrainingModel(Decoder(config))
        model = Split(trained, here.division, here.mesh, cpu, torch.float32)
        whole = dict(initial_weights(decoder, seed=0))
        for part in model.parts:
            part.put(whole[part.name])
        named = model.named_parts()
    optimizers = make_optimizers(named, DEFAULT_RULES)
    random = torch.Generator().manual_seed(here.rank)
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            ids = torch.randint(VOCABULARY, (BATCH // 2, CONTEXT + 1), generator=random)
            weights = torch.ones(BATCH // 2, CONTEXT)
            batch = Batch(ids[:, :-1], ids[:, 1:], weights, torch.arange(CONTEXT), None, None)
            found = backward(model, [batch], here, cpu, 1.0)
            update(model, optimizers)
        seconds = (time.perf_counter() - began) / int(line)
        print(json.dumps({"seconds": seconds, "loss": found.loss}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--steps", type=int, default=4, help="of a turn")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        compute(arguments.way, arguments.threads)
        return
    pairs = {way: Pair(way, arguments.threads) for way in WAYS}
    losses: dict[str, float] = {}
    for turn in range(arguments.turns + 1):
        for way, pair in pairs.items():
            said = pair.turn(arguments.steps)
            losses[way] = said["loss"]
            if turn:
                pair.seconds.append(said["seconds"])
    for pair in pairs.values():
        pair.end()
    medians = {way: statistics.median(pair.seconds) for way, pair in pairs.items()}
    ratios = [ddp / fsdp for ddp, fsdp in zip(pairs["ddp"].seconds, pairs["fsdp2"].seconds, strict=True)]
    print(
        json.dumps(
            {
                "tokens_per_second": {way: round(BATCH * CONTEXT / seconds) for way, seconds in medians.items()},
                "fsdp2_over_ddp": round(statistics.median(ratios), 3),
                "between": [round(min(ratios), 3), round(max(ratios), 3)],
                "losses": losses,
                "threads": arguments.threads,
            }
        )
    )


if __name__ == "__main__":
    main()
