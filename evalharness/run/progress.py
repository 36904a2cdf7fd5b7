"""Progress of a long run: a live display on a terminal, plain lines in a log, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from evalharness.run.accounting import Usage

ENOUGH_TO_TELL = 5
"""Samples after which their rate says something of the time left: the first one also waited for its whole wave."""
COUNTING_SHARE = 0.02
"""Share of the time that counting distinct tokens, which sorts everything asked so far, may take."""


class Progress(Protocol):
    """Told of every cell and of every finished sample."""

    def plan(self, cells: int) -> None:
        """So many cells will run, or so many more."""
        ...

    def start(self, name: str, total: int, done: int, usage: Usage) -> None:
        """A cell begins; `usage` goes on counting while it runs."""
        ...

    def advance(self, score: float | None) -> None:
        """One sample more; `score` is its headline metric, None where it failed."""
        ...

    def stop(self) -> None: ...


class Silent:
    """Says nothing."""

    def plan(self, cells: int) -> None: ...

    def start(self, name: str, total: int, done: int, usage: Usage) -> None: ...

    def advance(self, score: float | None) -> None: ...

    def stop(self) -> None: ...


class Tally:
    """What a display can say of the running cell."""

    def __init__(self, name: str, total: int, done: int, usage: Usage, clock: Callable[[], float]) -> None:
        self.name, self.total, self.done = name, total, done
        self._before, self._usage, self._clock = done, usage, clock
        self._began = clock()
        self._sum, self._count = 0.0, 0
        self._distinct, self._counted_at, self._cost = 0.0, self._began, 0.0

    def add(self, score: float | None) -> None:
        self.done += 1
        if score is not None:
            self._sum, self._count = self._sum + score, self._count + 1

    @property
    def mean(self) -> float | None:
        """Of the headline metric over the samples of this session."""
        return self._sum / self._count if self._count else None

    def samples_a_second(self) -> float:
        return (self.done - self._before) / max(self._clock() - self._began, 1e-9)

    def tokens_a_second(self) -> float:
        """Prompt tokens of answered requests and generated tokens."""
        tokens = self._usage.answered_tokens + self._usage.generated_tokens
        return tokens / max(self._clock() - self._began, 1e-9)

    def distinct_share(self) -> float:
        """Share of the prompt tokens that no earlier prompt begins with; counted anew when there is time for it."""
        now = self._clock()
        if self._usage.prompt_tokens and now - self._counted_at >= self._cost / COUNTING_SHARE:
            self._distinct = self._usage.distinct_tokens / self._usage.prompt_tokens
            self._counted_at = self._clock()
            self._cost = self._counted_at - now
        return self._distinct

    def seconds_left(self) -> float | None:
        """None while too few samples are done to tell."""
        if self.done - self._before < ENOUGH_TO_TELL:
            return None
        return (self.total - self.done) / self.samples_a_second()


class Lines:
    """A line each `interval` seconds at most: for logs."""

    def __init__(self, interval: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval, self._clock = interval, clock
        self._cells, self._cell, self._last = 0, 0, 0.0
        self._tally: Tally | None = None

    def plan(self, cells: int) -> None:
        self._cells += cells

    def start(self, name: str, total: int, done: int, usage: Usage) -> None:
        self._cell += 1
        self._tally = Tally(name, total, done, usage, self._clock)
        self._last = self._clock()

    def advance(self, score: float | None) -> None:
        tally = self._tally
        assert tally is not None
        tally.add(score)
        now = self._clock()
        if now - self._last >= self._interval and tally.done < tally.total:
            self._last = now
            print(self._line(tally), file=sys.stderr, flush=True)

    def _line(self, tally: Tally) -> str:
        of = f" ({self._cell} of {self._cells})" if self._cells > 1 else ""
        parts = [f"{tally.name}{of}: {tally.done} of {tally.total} samples"]
        if tally.mean is not None:
            parts.append(f"score so far {tally.mean:.3f}")
        if (left := tally.seconds_left()) is not None:
            parts += [
                f"{tally.samples_a_second():.3g} a second",
                f"{tally.tokens_a_second():,.0f} tokens a second",
                f"{tally.distinct_share():.0%} of the prompts' tokens distinct",
                f"about {left:.0f} s left",
            ]
        return ", ".join(parts)

    def stop(self) -> None: ...


class Bar:
    """A live display: the cells, and of the running one samples, score, speed and the time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._cells = 0
        self._all: Any = None
        self._task: Any = None
        self._tally: Tally | None = None
        self._shown = 0.0

    def plan(self, cells: int) -> None:
        self._cells += cells
        if self._cells > 1 and self._all is None:
            self._all = self._bar.add_task("tasks", total=self._cells, told="")
        elif self._all is not None:
            self._bar.update(self._all, total=self._cells)

    def start(self, name: str, total: int, done: int, usage: Usage) -> None:
        self._tally = Tally(name, total, done, usage, time.monotonic)
        self._bar.start()
        self._task = self._bar.add_task(name, total=total, completed=done, told="")

    def advance(self, score: float | None) -> None:
        assert self._tally is not None
        self._tally.add(score)
        now = time.monotonic()
        if now - self._shown >= 0.1:  # as often as it is drawn: a replay finishes thousands of samples a second
            self._shown = now
            self._bar.update(self._task, completed=self._tally.done, told=self._told(self._tally))

    def _told(self, tally: Tally) -> str:
        score = "" if tally.mean is None else f"{tally.mean:.3f}  "
        return (
            f"{score}{tally.samples_a_second():.3g}/s  {tally.tokens_a_second():,.0f} tok/s  "
            f"{tally.distinct_share():.0%} distinct"
        )

    def stop(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        if self._all is not None:
            self._bar.advance(self._all)
        self._bar.stop()


@contextmanager
def showing(progress: Progress, name: str, total: int, done: int, usage: Usage) -> Iterator[Progress]:
    """Starts the progress of one cell and ends it however the cell ends."""
    progress.start(name, total, done, usage)
    try:
        yield progress
    finally:
        progress.stop()


def choose(*, quiet: bool) -> Progress:
    """A display on a terminal, lines elsewhere, silence when asked for."""
    if quiet:
        return Silent()
    return Bar() if sys.stderr.isatty() else Lines()
