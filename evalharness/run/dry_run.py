"""`--dry-run`: what a run would ask, counted by asking a backend that answers nothing; and how long it would take.

Requests and tokens come from the run's own path, so they are what the run reports. The time is measured on
the real model with a few of the run's own samples and scaled by what dominates: prompt tokens, and steps of
decoding. Programs are not executed, and the time that they take is not in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from evalharness.backends.batching import Waves
from evalharness.backends.wrapping import Wrapper
from evalharness.run.accounting import Usage
from evalharness.run.execute import execute, fits, fits_judge
from evalharness.run.judges import judge_for
from evalharness.run.models import load_backend
from evalharness.run.options import RunOptions
from evalharness.run.plan import Cell, LeaveOut, plan
from evalharness.run.runner import warm
from evalharness.run.sandboxes import Idle
from evalharness.types import (
    Backend,
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Sample,
    Wave,
)

MEASURED_SAMPLES = 8
"""Samples of the run that are run for the measurement, at most; half of them where there are few."""
DECODING_ROWS = 32
"""Completions decoded side by side when the time of a step is measured."""
DECODING_STEPS = 8


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a cell would ask for."""

    task: str
    protocol: str
    model: str
    samples: int
    requests: int
    prompt_tokens: int
    distinct_tokens: int
    max_generated_tokens: int
    open_ended: bool
    """Whether a later request depends on an earlier answer: the counts are then the least there will be."""
    loops: bool
    """Whether the method loops, until the model ends it: there will be as many requests at most."""
    seconds: float | None
    """None for a backend that costs no time worth measuring, and where a judge model's time comes on top."""
    measured_on: str
    judge_requests: int = 0
    """Questions that a judge model would be asked."""


def dry_run(options: RunOptions, leave_out: LeaveOut | None = None) -> list[Estimate]:
    """An estimate for every cell, in order.

    Args:
        leave_out: called with each column of a suite's layout that cannot be run here.

    Raises:
        EvalHarnessError: whatever would stop the run before its first request.
    """
    cells = plan(options, leave_out=leave_out)
    estimates = []
    with judge_for(cells, options) as judges:
        for spec in options.model:
            with closing(load_backend(spec, options)) as backend:
                judge = judges.beside(spec, backend) if judges else None
                for cell in cells:
                    fits(cell, backend)
                    fits_judge(cell, judge)
                    estimates.append(_estimate(cell, backend, judge if cell.task.asks_judge else None))
    return estimates


def _estimate(cell: Cell, backend: Backend, judge: Backend | None) -> Estimate:
    counter = _Counter(backend)
    usage = Usage()
    asyncio.run(execute(cell, counter, cell.samples, _ignore, usage, Idle(), _Counter(judge) if judge else None))
    timed = backend.info.kind != "replay" and judge is None
    seconds = _seconds(cell, backend, usage) if timed else None
    return Estimate(
        task=cell.name,
        protocol=cell.task.protocol,
        model=backend.info.name,
        samples=len(cell.samples),
        requests=usage.requests,
        prompt_tokens=usage.prompt_tokens,
        distinct_tokens=usage.distinct_tokens,
        max_generated_tokens=counter.max_generated,
        open_ended=counter.dependent,
        loops=cell.task.method.loops,
        seconds=seconds,
        measured_on=f"measured on {len(_spread(cell.samples))} of the samples",
        judge_requests=usage.judging.requests if usage.judging else 0,
    )


class _Counter(Wrapper):
    """Answers everything at once, with nothing, and counts."""

    def __init__(self, real: Backend) -> None:
        super().__init__(real)
        self.max_generated = 0
        self.dependent = False

    def answer(self, wave: Wave) -> None:
        for ticket in wave:
            request = ticket.request
            if isinstance(request, GenerateRequest):
                self.max_generated += request.n * request.sampling.max_tokens
                self.dependent = self.dependent or request.origin.call > 0
                ticket.resolve(Completions((Completion(text=""),) * request.n))
            else:
                scored = len(request.ids or "x") - request.start
                ticket.resolve(Likelihood((0.0,) * scored, (True,) * scored))


def _ignore(line: Mapping[str, Any]) -> None: ...


# --------------------------------------------------------------------------- time


def _spread(samples: Sequence[Sample]) -> Sequence[Sample]:
    """A few samples, evenly spread."""
    count = min(MEASURED_SAMPLES, (len(samples) + 1) // 2)
    return samples[:: max(len(samples) // count, 1)][:count]


def _seconds(cell: Cell, backend: Backend, usage: Usage) -> float:
    """Prompt tokens at the measured rate, and for generation the steps of decoding at the measured time a step."""
    few = _spread(cell.samples)
    warm(backend)
    if cell.task.method.scores:
        seconds, measured = _timed(cell, backend, few)
        return seconds * usage.prompt_tokens / max(measured.prompt_tokens, 1)
    return _generation_seconds(cell, backend, few, usage)


def _generation_seconds(cell: Cell, backend: Backend, few: Sequence[Sample], usage: Usage) -> float:
    """Reading every prompt, then decoding: many rows at once while samples wait, few rows for the long tail."""
    probe = _Probe(backend)
    _, measured = _timed(cell, probe, few)
    asked = probe.seen[len(probe.seen) // 2]
    seconds_to_read, many, alone = asyncio.run(_pace(backend, asked, min(DECODING_ROWS, len(cell.samples) * asked.n)))
    completions = sum(request.n for request in probe.seen)
    every = completions * len(cell.samples) / len(few)
    mean = measured.generated_tokens / completions
    tail = _longest(measured, completions, every, asked.sampling.max_tokens) - mean
    bulk = max(mean * every / DECODING_ROWS, mean)
    reading = seconds_to_read / max(len(asked.prompt.ids or ()), 1) * usage.prompt_tokens
    return reading + bulk * many + max(tail, 0.0) * alone


def _longest(measured: Usage, completions: int, every: float, limit: int) -> float:
    """Expected length of the longest of `every` completions, of which a few were seen.

    One completion of n reaches the limit with the chance (hits + 1/2) / (n + 1), the mean under Jeffreys' prior.
    """
    chance = ((measured.longest >= limit) + 0.5) / (completions + 1)
    none: float = (1 - chance) ** max(every - completions, 0.0)
    return none * measured.longest + (1 - none) * limit


def _timed(cell: Cell, backend: Backend, few: Sequence[Sample]) -> tuple[float, Usage]:
    usage = Usage()
    began = time.perf_counter()
    try:
        asyncio.run(execute(cell, backend, few, _ignore, usage, Idle()))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None  # asked to end (`interruption.interrupt`)
    return time.perf_counter() - began, usage


class _Probe(Wrapper):
    """Passes requests on and remembers the generations."""

    def __init__(self, real: Backend) -> None:
        super().__init__(real)
        self.seen: list[GenerateRequest] = []

    def answer(self, wave: Wave) -> None:
        self.seen += [ticket.request for ticket in wave if isinstance(ticket.request, GenerateRequest)]
        self.inner.answer(wave)


async def _pace(backend: Backend, asked: GenerateRequest, rows: int) -> tuple[float, float, float]:
    """Seconds to read a prompt, of a step that decodes `rows` completions of it, and of one that decodes two."""

    async def seconds(waves: Waves, n: int, tokens: int) -> float:
        sampling = replace(asked.sampling, max_tokens=tokens, temperature=1.0, stop=())
        began = time.perf_counter()
        await waves.ask(replace(asked, sampling=sampling, n=n))
        return time.perf_counter() - began

    async with Waves(backend) as waves:
        reading = await seconds(waves, 1, 1)
        steps = []
        for n in (rows, 2):
            short = await seconds(waves, n, 1)
            steps.append(max(await seconds(waves, n, 1 + DECODING_STEPS) - short, 0.0) / DECODING_STEPS)
    return reading, steps[0], steps[1]
