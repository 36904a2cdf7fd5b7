"""`parallel_training.py FOLDER WAYS`: trainings of one process and of two, which are forks of this one; prints how they
end.

As a program of torchrun, `parallel_training.py FOLDER NAME`: one training.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from stack.training.ranks import LONGER, nothing, ranks, train

from evalharness.stack.training.loop import Event

GIVEN: dict[str, Any] = {
    "data": LONGER,
    "batch": {"sequences": 8, "ramp": [{"from_step": 12, "sequences": 16}]},
}


def dies_at_thirteen(event: Event) -> None:
    if event["step"] == 13:
        os.kill(os.getpid(), signal.SIGKILL)


def is_asked_at_thirteen(event: Event) -> None:
    if event["step"] == 13 and "loss" in event:
        os.kill(os.getpid(), signal.SIGTERM)


WAYS: dict[str, tuple[str, tuple[Callable[[Event], None], ...]]] = {
    "alone": ("alone", (nothing,)),
    "two": ("two", (nothing, nothing)),
    "died": ("died", (dies_at_thirteen, nothing)),
    "again": ("died", (nothing, nothing)),
    "asked": ("asked", (is_asked_at_thirteen, nothing)),
}
"""Of each, the training's name and what each of its processes does when it is told of a step."""


def main(folder: Path, ways: list[str]) -> None:
    ends = {}
    for way in ways:
        name, tells = WAYS[way]
        ends[way] = ranks(folder, name, *(partial(train, folder, name, tell, **GIVEN) for tell in tells))
    print(json.dumps(ends))


if __name__ == "__main__":
    if "RANK" in os.environ:
        train(Path(sys.argv[1]), sys.argv[2], **GIVEN)
    else:
        main(Path(sys.argv[1]), sys.argv[2:])
