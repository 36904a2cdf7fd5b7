"""`killed_training.py FOLDER SEED KINDS`: a training that is killed once in each of these ways, and one that is not.

Every life of the training is a fork of this process, which has imported torch and computed nothing. Prints how each
ended.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch._dynamo
from stack.training.tiny_pretraining import FakeEvaluator, options

from evalharness.stack.corpus.shards import Shards
from evalharness.stack.training import log, setup, state
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.peaks import Peak
from evalharness.stack.training.pretrain import pretrain

# torch's optimizers import it (2 s): once, before the forks.
assert torch._dynamo
SIZES = {"batch": {"sequences": 4, "micro": 2, "ramp": [{"from_step": 12, "sequences": 8}]}, "steps": 40}
SHARD = 300
RANDOM = random.Random()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def counted(owner: Any, name: str, last: int, act: Callable[..., None] | None = None) -> None:
    """Die before the `last`-th call of a method, or once it has been called so often by way of `act`."""
    original, count = getattr(owner, name), 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == last:
            (act or (lambda *_: None))(*arguments)
            die()
        return original(*arguments, **named)

    setattr(owner, name, call)


def in_accumulation() -> None:
    """Before the second micro-batch of a step: an odd number of the first ones."""
    counted(TrainingModel, "forward", 2 * RANDOM.randint(6, 12) + 6)


def at_a_shard_border() -> None:
    """While a sequence is read that lies in two shards; in the thread that reads ahead."""
    original, left = Shards.read, RANDOM.randint(1, 4)

    def read(self: Shards, start: int, stop: int) -> Any:
        nonlocal left
        if stop - start == 17 and any(start < int(begin) < stop for begin in self._starts):
            left -= 1
            if not left:
                die()
        return original(self, start, stop)

    Shards.read = read  # type: ignore[method-assign]


def in_a_save() -> None:
    """Before one of the changes on the disk that make a checkpoint, the rename and `.complete` among them."""
    last, count = RANDOM.randint(12, 34), 0
    changes = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in changes or (event == "open" and "checkpoints" in str(arguments[0])):
            count += 1
            if count == last:
                die()

    sys.addaudithook(hook)


def in_a_line() -> None:
    """Half of a line of the log is written."""

    def half(lines: log.Lines, values: Any) -> None:
        with lines.path.open("a") as file:
            file.write(json.dumps(values)[:20])

    counted(log.Lines, "append", RANDOM.randint(8, 14), half)


def in_an_evaluation() -> None:
    """The checkpoint is evaluated, but nobody has been told."""
    original, last = FakeEvaluator.__call__, RANDOM.randint(1, 2)

    def call(self: FakeEvaluator, step: int, checkpoint: Path) -> Any:
        found = original(self, step, checkpoint)
        if len(self.asked) == last:
            die()
        return found

    FakeEvaluator.__call__ = call  # type: ignore[method-assign]


def between_steps() -> None:
    """The state is gathered, but not written."""
    counted(state, "_random_states", RANDOM.randint(1, 2))


KINDS = (in_accumulation, at_a_shard_border, in_a_save, in_a_line, in_an_evaluation, between_steps)


def train(folder: Path, name: str) -> None:
    setup.machine_peak = lambda device, dtype: Peak(1e10, "a number of this test")
    poisoned = (folder / "poisoned.jsonl").exists()
    changes = json.loads((folder / "changes.json").read_text()) if poisoned else {}
    pretrain(options(name, **SIZES, **changes), folder, evaluator=FakeEvaluator(every=10))


def life(folder: Path, name: str, kill: Callable[[], None] | None) -> int:
    """How it ended: the number of a signal, 0 if it came to its end."""
    process = os.fork()
    if process == 0:
        try:
            if kill:
                kill()
            train(folder, name)
        except BaseException:
            traceback.print_exc()
            os._exit(99)
        os._exit(0)
    status = os.waitpid(process, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def main(folder: Path, seed: int, kinds: list[str]) -> None:
    RANDOM.seed(seed)
    named = {kind.__name__: kind for kind in KINDS}
    chosen = [named[kind] for kind in kinds] if kinds else RANDOM.sample(KINDS, len(KINDS))
    ends = {"whole": life(folder, "whole", None)} if not (folder / "whole").exists() else {}
    for number, kill in enumerate(chosen):
        # A thread that writes or reads ahead lives in the fork alone, so each life begins from the disk.
        ends[f"{number} {kill.__name__}"] = life(folder, f"killed-{seed}", kill)
    ends["end"] = life(folder, f"killed-{seed}", None)
    print(json.dumps(ends))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
