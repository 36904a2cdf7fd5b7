"""Processes of one training as forks of a process that has imported torch and computed nothing."""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch._dynamo
from stack.training.tiny_pretraining import FakeEvaluator, options
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from evalharness.stack.errors import StackError
from evalharness.stack.training import setup
from evalharness.stack.training.loop import Event
from evalharness.stack.training.peaks import Peak
from evalharness.stack.training.pretrain import pretrain

# torch's optimizers import it (2 s): once, before the forks.
assert torch._dynamo
LONGER = {"corpus": "corpus", "context": 40, "validation": {"sequences": 5}}
"""Sequences of several documents, so that ranks have targets of different weights."""
REFUSED = 65
"""How a rank ends that says in one sentence why it cannot go on."""


def nothing(event: Event) -> None:
    pass


def train(
    folder: Path, name: str, tell: Callable[[Event], None] = nothing, start: int | None = None, **given: Any
) -> None:
    """A training of `tiny_pretraining` whose end is printed."""
    setup.machine_peak = lambda device, dtype: Peak(1e10, "a number of this test")
    evaluator = FakeEvaluator(every=10)
    part, left = distributed.destroy_process_group, []

    def parted() -> None:
        left.extend(each for each in gc.get_objects() if type(each) is DistributedDataParallel)
        part()

    distributed.destroy_process_group = parted
    outcome = pretrain(options(name, **given), folder, evaluator=evaluator, tell=tell, start=start)
    assert not left, "a model outlives its processes, and may then wait for ever"
    print(json.dumps({"ending": outcome.ending, "step": outcome.step, "asked": evaluator.asked}), flush=True)


def fork(act: Callable[[], None], said: Path) -> int:
    """The number of a process that does this; what it says goes to a file."""
    process = os.fork()
    if process:
        return process
    sys.stdout = sys.stderr = said.open("w")
    code = 1
    try:
        act()
        code = 0
    except StackError as error:
        print(error, flush=True)
        code = REFUSED
    finally:
        sys.stdout.flush()
        os._exit(code)


def ranks(folder: Path, name: str, *acts: Callable[[], None]) -> list[dict[str, Any]]:
    """How as many ranks end as there are acts: their codes, and what they said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(len(acts))}
    files, forks = [folder / f"{name}.{number}" for number in range(len(acts))], []
    for number, (act, file) in enumerate(zip(acts, files, strict=True)):
        os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number)}
        forks.append(fork(act, file))
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in forks]
    return [{"code": code, "said": file.read_text()} for code, file in zip(codes, files, strict=True)]
