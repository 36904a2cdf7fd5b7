"""Progress of a long run: a live bar on a terminal, plain lines in a log, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

ENOUGH_TO_TELL = 5
"""Samples after which their rate says something of the time left: the first one also waited for its whole wave."""


class Progress(Protocol):
    """Told of every finished sample."""

    def start(self, name: str, total: int, done: int) -> None: ...

    def advance(self, score: float | None) -> None:
        """One sample more; `score` is its headline metric, None where it failed."""
        ...

    def stop(self) -> None: ...


class Silent:
    """Says nothing."""

    def start(self, name: str, total: int, done: int) -> None: ...

    def advance(self, score: float | None) -> None: ...

    def stop(self) -> None: ...


class Lines:
    """A line each `interval` seconds at most: for logs."""

    def __init__(self, interval: float = 10.0) -> None:
        self._interval = interval
        self._name, self._total, self._done, self._before = "", 0, 0, 0
        self._began = self._last = 0.0

    def start(self, name: str, total: int, done: int) -> None:
        self._name, self._total, self._done, self._before = name, total, done, done
        self._began = self._last = time.monotonic()

    def advance(self, score: float | None) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._last >= self._interval and self._done < self._total:
            self._last = now
            done = self._done - self._before
            left = ""
            if done >= ENOUGH_TO_TELL:
                left = f", about {(self._total - self._done) * (now - self._began) / done:.0f} s left"
            print(f"{self._name}: {self._done} of {self._total} samples{left}", file=sys.stderr, flush=True)

    def stop(self) -> None: ...


class Bar:
    """A live bar with the running mean of the headline metric and the time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[score]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: Any = None
        self._sum, self._count = 0.0, 0

    def start(self, name: str, total: int, done: int) -> None:
        self._sum, self._count = 0.0, 0
        self._bar.start()
        self._task = self._bar.add_task(name, total=total, completed=done, score="")

    def advance(self, score: float | None) -> None:
        if score is not None:
            self._sum, self._count = self._sum + score, self._count + 1
        shown = f"{self._sum / self._count:.3f}" if self._count else ""
        self._bar.update(self._task, advance=1, score=shown)

    def stop(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        self._bar.stop()


@contextmanager
def showing(progress: Progress, name: str, total: int, done: int) -> Iterator[Progress]:
    """Starts the progress of one cell and ends it however the cell ends."""
    progress.start(name, total, done)
    try:
        yield progress
    finally:
        progress.stop()


def choose(*, quiet: bool) -> Progress:
    """A bar on a terminal, lines elsewhere, silence when asked for."""
    if quiet:
        return Silent()
    return Bar() if sys.stderr.isatty() else Lines()
