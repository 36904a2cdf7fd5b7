"""`--dry-run`: what a run would ask, counted by asking a backend that answers nothing; and how long it would take.

Requests and tokens come from the run's own path, so they are what the run reports. The time is measured on
the real model with a few of the run's own samples and scaled by what dominates: prompt tokens, and steps of
decoding.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from evalharness.backends.batching import Waves
from evalharness.run.accounting import Usage
from evalharness.run.execute import execute, fits
from evalharness.run.options import RunOptions
from evalharness.run.plan import Cell, plan
from evalharness.run.runner import load_backend
from evalharness.types import (
    Backend,
    BackendInfo,
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Origin,
    Prompt,
    Sample,
    Sampling,
    Tokenizer,
    Wave,
)

MEASURED_SAMPLES = 4
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
    seconds: float | None
    """None for a backend that costs no time worth measuring."""
    measured_on: str


def dry_run(options: RunOptions) -> list[Estimate]:
    """An estimate for every cell, in order.

    Raises:
        EvalHarnessError: whatever would stop the run before its first request.
    """
    cells = plan(options)
    estimates = []
    for spec in options.model:
        with closing(load_backend(spec, options)) as backend:
            for cell in cells:
                fits(cell, backend)
                estimates.append(_estimate(cell, backend))
    return estimates


def _estimate(cell: Cell, backend: Backend) -> Estimate:
    counter = _Counter(backend)
    usage = Usage()
    asyncio.run(execute(cell, counter, cell.samples, _ignore, usage))
    seconds = None if backend.info.kind == "replay" else _seconds(cell, backend, usage)
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
        seconds=seconds,
        measured_on=f"measured on {min(MEASURED_SAMPLES, len(cell.samples))} of the samples",
    )


class _Counter:
    """A backend with the real one's tokenizer and limits, whose every answer is empty."""

    def __init__(self, real: Backend) -> None:
        self._real = real
        self.max_generated = 0
        self.dependent = False

    @property
    def info(self) -> BackendInfo:
        return self._real.info

    @property
    def tokenizer(self) -> Tokenizer | None:
        return self._real.tokenizer

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

    def close(self) -> None: ...


def _ignore(line: Mapping[str, Any]) -> None: ...


# --------------------------------------------------------------------------- time


def _seconds(cell: Cell, backend: Backend, usage: Usage) -> float:
    """Prompt tokens at the measured rate, and for generation the steps of decoding at the measured time a step."""
    step = max(len(cell.samples) // MEASURED_SAMPLES, 1)
    few = cell.samples[::step][:MEASURED_SAMPLES]
    warm = getattr(backend, "warm", None)
    if warm is not None:
        warm()
    if cell.task.method.scores:
        seconds, measured = _timed(cell, backend, few)
        return seconds * usage.prompt_tokens / max(measured.prompt_tokens, 1)
    return _generation_seconds(cell, backend, few, usage)


def _generation_seconds(cell: Cell, backend: Backend, few: Sequence[Sample], usage: Usage) -> float:
    probe = _Probe(backend)
    _, measured = _timed(cell, probe, few)
    prefill, read = asyncio.run(_first_tokens(backend, probe.seen[:1]))
    rows = min(DECODING_ROWS, len(cell.samples) * max(request.n for request in probe.seen))
    a_step = asyncio.run(_step(backend, probe.seen, rows))
    completions = sum(request.n for request in probe.seen)
    mean = measured.generated_tokens / completions
    longest = max(measured.longest, 1)
    every = completions * len(cell.samples) / len(few)
    # Streams join as others leave: while enough wait, every step serves `rows` of them; the last tail off.
    steps = max(mean * every / rows, mean) + (longest - mean)
    return prefill / read * usage.prompt_tokens + steps * a_step


def _timed(cell: Cell, backend: Backend, few: Sequence[Sample]) -> tuple[float, Usage]:
    usage = Usage()
    began = time.perf_counter()
    asyncio.run(execute(cell, backend, few, _ignore, usage))
    return time.perf_counter() - began, usage


class _Probe:
    """Passes requests on and remembers the generations."""

    def __init__(self, real: Backend) -> None:
        self._real = real
        self.seen: list[GenerateRequest] = []

    @property
    def info(self) -> BackendInfo:
        return self._real.info

    @property
    def tokenizer(self) -> Tokenizer | None:
        return self._real.tokenizer

    def answer(self, wave: Wave) -> None:
        self.seen += [ticket.request for ticket in wave if isinstance(ticket.request, GenerateRequest)]
        self._real.answer(wave)

    def close(self) -> None: ...


async def _first_tokens(backend: Backend, requests: Sequence[GenerateRequest]) -> tuple[float, int]:
    """Seconds to read the prompts of `requests`, and their tokens."""
    one = [replace(request, sampling=replace(request.sampling, max_tokens=1)) for request in requests]
    async with Waves(backend) as waves:
        began = time.perf_counter()
        await asyncio.gather(*(waves.ask(request) for request in one))
        return time.perf_counter() - began, sum(len(request.prompt.ids or ()) for request in one)


async def _step(backend: Backend, requests: Sequence[GenerateRequest], rows: int) -> float:
    """Seconds of one step that decodes `rows` completions: several steps less one, on short prompts."""
    ids = [(requests[number % len(requests)].prompt.ids or (0,))[-16 - number % 8 :] for number in range(rows)]

    def asked(tokens: int) -> list[GenerateRequest]:
        return [
            GenerateRequest(
                origin=Origin(task="", sample_id=str(number), index=number),
                prompt=Prompt(messages=(), text="", ids=prompt),
                sampling=Sampling(max_tokens=tokens),
            )
            for number, prompt in enumerate(ids)
        ]

    async with Waves(backend) as waves:
        times = []
        for tokens in (1, 1, 1 + DECODING_STEPS):
            began = time.perf_counter()
            await asyncio.gather(*(waves.ask(request) for request in asked(tokens)))
            times.append(time.perf_counter() - began)
    return max(times[2] - times[1], 0.0) / DECODING_STEPS
