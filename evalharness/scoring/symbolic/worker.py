"""A worker process: compares formulas as it is told on its standard input, a line of JSON each, until that ends.

It limits itself, so that nothing outlives a parent that dies: a comparison that computes longer than its seconds ends
the process by SIGPROF, even inside one step of big-number arithmetic, and memory is bounded. Seconds are of this
process's computing, so that a busy machine does not change a score.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
from typing import TextIO

from evalharness.scoring.symbolic.equality import COMPARISONS

MEMORY = 4 << 30
"""Bytes of address space."""


def main() -> None:
    """Answer ``[name, target, answer, seconds]`` with ``true``, ``false`` or a text that says why neither."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends, and with it the standard input
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    for comparison in COMPARISONS.values():
        comparison("1", "2")  # imports take longer than most comparisons, and are no part of any
    _serve(sys.stdin, answers)


def _serve(jobs: TextIO, answers: TextIO) -> None:
    for line in jobs:
        name, target, answer, seconds = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        found = _compared(name, target, answer)
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def _compared(name: str, target: str, answer: str) -> bool | str:
    try:
        return COMPARISONS[name](target, answer)
    except MemoryError:
        return f"more than {MEMORY >> 30} GiB of memory"
    except RecursionError:
        return "nested too deeply"


if __name__ == "__main__":
    main()
