"""`parallel_training.py FOLDER`: trainings of one process and of two, which are forks of this one; prints how they end.

As a program of torchrun, `parallel_training.py FOLDER NAME`: one training.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch._dynamo
from stack.training.tiny_pretraining import FakeEvaluator, options

from evalharness.stack.errors import StackError
from evalharness.stack.training import setup
from evalharness.stack.training.loop import Event
from evalharness.stack.training.peaks import Peak
from evalharness.stack.training.pretrain import pretrain

# torch's optimizers import it (2 s): once, before the forks.
assert torch._dynamo
LONGER = {"corpus": "corpus", "context": 40, "validation": {"sequences": 5}}
"""Sequences of several documents, so that ranks have targets of different weights."""


def train(folder: Path, name: str, tell: Callable[[Event], None] = lambda event: None) -> None:
    setup.machine_peak = lambda device, dtype: Peak(1e10, "a number of this test")
    evaluator = FakeEvaluator(every=10)
    given: dict[str, Any] = {"data": LONGER, "batch": {"sequences": 8, "ramp": [{"from_step": 12, "sequences": 16}]}}
    outcome = pretrain(options(name, **given), folder, evaluator=evaluator, tell=tell)
    print(json.dumps({"ending": outcome.ending, "step": outcome.step, "asked": evaluator.asked}), flush=True)


def rank(folder: Path, name: str, number: int, address: str, tell: Callable[[Event], None], said: Path) -> int:
    """A fork that trains as one of two ranks; what it says goes to a file."""
    process = os.fork()
    if process:
        return process
    host, port = address.split(":")
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": host, "MASTER_PORT": port}
    sys.stdout = sys.stderr = said.open("w")
    code = 0
    try:
        train(folder, name, tell)
    except StackError as error:
        print(error, flush=True)
        code = 65
    finally:
        sys.stdout.flush()
    os._exit(code)


def two(folder: Path, name: str, *tells: Callable[[Event], None]) -> list[dict[str, Any]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    files = [folder / f"{name}.{number}" for number in range(2)]
    ranks = [rank(folder, name, number, address, tells[number], files[number]) for number in range(2)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in ranks]
    return [{"code": code, "said": file.read_text()} for code, file in zip(codes, files, strict=True)]


def nothing(event: Event) -> None:
    pass


def dies_at_thirteen(event: Event) -> None:
    if event["step"] == 13:
        os.kill(os.getpid(), signal.SIGKILL)


def is_asked_at_thirteen(event: Event) -> None:
    if event["step"] == 13 and "loss" in event:
        os.kill(os.getpid(), signal.SIGTERM)


def main(folder: Path) -> None:
    alone = os.fork()
    if not alone:
        train(folder, "alone")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(alone, 0)
    ends = {
        "two": two(folder, "two", nothing, nothing),
        "died": two(folder, "died", dies_at_thirteen, nothing),
        "again": two(folder, "died", nothing, nothing),
        "asked": two(folder, "asked", is_asked_at_thirteen, nothing),
    }
    print(json.dumps(ends))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        train(Path(sys.argv[1]), sys.argv[2])
    else:
        main(Path(sys.argv[1]))
