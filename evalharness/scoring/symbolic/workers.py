"""A few worker processes that compare formulas, shared by all metrics of this process.

A parser of LaTeX may hang, and ``9**9**9`` never ends: so comparisons run where they can be ended. Workers start when
there is work, as many as there are processors at most, and end with `close_idle` or with this process.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import cache
from queue import LifoQueue
from typing import Any

from evalharness.errors import ServiceError
from evalharness.scoring.symbolic.equality import missing_package


class Undecided(Exception):
    """A comparison that came to no end within its limits; the text says which."""


class _Worker:
    """One process, asked one thing at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "evalharness.scoring.symbolic.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )

    def ask(self, comparison: str, target: str, answer: str, seconds: float) -> bool | str | None:
        """True, false, or why neither; None where the process ended over it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([comparison, target, answer, seconds]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            return None
        found: Any = json.loads(line) if line else None
        return found if isinstance(found, bool | str) else None

    def close(self) -> int:
        """End the process, and say how it ended."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # of what it has not read
                    pipe.close()
        try:
            return self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class Workers:
    """At most `size` processes, each started when no other one is free. Safe to call from any thread."""

    def __init__(self, size: int) -> None:
        self._free: LifoQueue[_Worker | None] = LifoQueue()
        """None stands for a process that may be started."""
        for _ in range(size):
            self._free.put(None)
        self._size = size

    def compare(self, comparison: str, target: str, answer: str, seconds: float) -> bool:
        """Whether the two are equal by the comparison of that name, one of `equality.COMPARISONS`.

        Raises:
            Undecided: it computed longer than `seconds`, or took more memory than a worker has.
            ServiceError: the packages of the extra `math` are missing, or a worker cannot start.
        """
        worker = self._taken()
        found = worker.ask(comparison, target, answer, seconds)
        if found is None:
            ended = worker.close()
            self._free.put(None)
            late = ended == -signal.SIGPROF
            raise Undecided(f"more than {seconds:g} seconds" if late else f"the worker ended with status {ended}")
        self._free.put(worker)
        if isinstance(found, str):
            raise Undecided(found)
        return found

    def _taken(self) -> _Worker:
        free = self._free.get()
        try:
            return free or _started()
        except BaseException:
            self._free.put(None)
            raise

    def close_idle(self) -> None:
        """End the processes that nobody waits for."""
        taken: list[_Worker | None] = []
        while not self._free.empty() and len(taken) < self._size:
            taken.append(self._free.get())
        for worker in taken:
            if worker is not None:
                worker.close()
            self._free.put(None)


def _started() -> _Worker:
    if missing := missing_package():
        raise ServiceError(f"comparing formulas needs the package '{missing}'; pip install 'evalharness[math]'.")
    return _Worker()


@cache
def shared() -> Workers:
    """The workers of this process; they end with it."""
    workers = Workers(os.cpu_count() or 1)
    atexit.register(workers.close_idle)
    return workers
