"""One cell through one backend: samples become coroutines, finished samples become lines of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from evalharness.backends.batching import Waves
from evalharness.elicitation.base import Ask, Executor
from evalharness.errors import BudgetError, DiskError, EvalHarnessError, FailedSamplesError, UsageError
from evalharness.judging.base import Bench
from evalharness.judging.model import JudgeModel, judge_model
from evalharness.prompting.prompter import Prompter
from evalharness.run.accounting import Meter, Usage
from evalharness.run.interruption import NAME
from evalharness.run.lines import errored_line, scored_line
from evalharness.run.plan import Cell
from evalharness.tasks.files import read_yaml
from evalharness.types import Attempt, Backend, Origin, Reference, Sample

PENDING_TOKENS = 1 << 21
"""Samples are admitted while the prompts that wait for an answer hold fewer tokens than this, for each copy of the
model that answers."""
RUNNING_SAMPLES = 4096
"""And while fewer samples than this are on their way, for each copy."""
FEW = 20
"""So many samples may always fail before a run is given up early."""

Sink = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Means:
    """What the samples of a cell share while they are elicited and judged."""

    prompter: Prompter
    meter: Meter
    sandbox: Executor | None
    judge: JudgeModel | None


def fits(cell: Cell, backend: Backend) -> None:
    """Refuse, before anything is asked, a backend that cannot answer what the task's method asks.

    Raises:
        UsageError: it cannot score, or cannot generate; the protocols that it could run are named.
    """
    method, info = cell.task.method, backend.info
    if method.needs == "document" and info.encoder_decoder:
        raise UsageError(
            f"{cell.name} asks how likely whole documents are, which {info.name} ({info.kind}) cannot say: it is an "
            "encoder-decoder, whose decoder says what follows a prompt and not the prompt."
        )
    verb = "score" if method.scores else "generate"
    if verb in info.verbs and not (verb == "score" and info.accepts == {"messages"}):
        return
    protocols = read_yaml(cell.task.path).get("protocols", {})
    generative = [name for name, changes in protocols.items() if "elicitation" in changes] if method.scores else []
    way = f"; run its protocol '{generative[0]}'" if generative else ""
    raise UsageError(f"{cell.name} asks a model to {verb}, which {info.name} ({info.kind}) cannot do{way}.")


def fits_judge(cell: Cell, judge: Backend | None) -> None:
    """Refuse, before anything is asked, a task whose judges ask a model where there is none, or one that cannot.

    Raises:
        UsageError: no judge model, or one that cannot do what a judge of the task asks.
    """
    for asking in filter(lambda one: one.asks, cell.task.judges):
        if judge is None:
            raise UsageError(
                f"{cell.name} is judged by a model ('{asking.judge}'), and none is named; add --judge-model MODEL, "
                "which takes what --model takes."
            )
        if missing := asking.verbs - judge.info.verbs:
            raise UsageError(
                f"{cell.name}: the judge '{asking.judge}' asks a model to {min(missing)}, which {judge.info.name} "
                f"({judge.info.kind}) cannot do; name another with --judge-model."
            )


async def execute(
    cell: Cell,
    backend: Backend,
    samples: Sequence[Sample],
    sink: Sink,
    usage: Usage,
    sandbox: Executor | None = None,
    judge: Backend | None = None,
) -> None:
    """Elicit, judge and score `samples`, handing each finished one to `sink` as a journal line; count into `usage`.

    Args:
        sandbox: where programs are executed, for a task that executes any.
        judge: the judge model, for a task whose judges ask one; it may be the model itself.

    Raises:
        ServiceError: a judge of the task lacks what it needs.
        FailedSamplesError: so many samples failed that the run is given up.
        BudgetError: what may be spent at a server is spent.
        DiskError: the journal cannot be written.
        CancelledError: the run is asked to end (`interruption.interrupt`).
    """
    if (task := asyncio.current_task()) is not None:
        task.set_name(NAME)
    options = cell.options
    prompter = Prompter(
        cell.task.definition.prompt,
        tokenizer=backend.tokenizer,
        max_length=backend.info.max_length,
        chat=options.chat,
        system_prompt=options.system_prompt,
    )
    errors: list[str] = []
    spent: list[BudgetError] = []

    async def one(sample: Sample, means: _Means) -> None:
        try:
            line = await _finished(cell, sample, means)
        except BudgetError as error:  # what is under way ends as it would, nothing further is asked
            spent.append(error)
            return
        sink(line)
        if line.get("error"):
            errors.append(line["error"])
            if len(errors) > max(FEW, options.max_errors * len(cell.samples)):
                raise FailedSamplesError(
                    f"{cell.name}: {len(errors)} samples failed, so the run is given up; the last one: {errors[-1]}"
                )

    for one_judge in cell.task.judges:
        await one_judge.prepare(cell.name, sandbox)
    try:
        async with AsyncExitStack() as opened:
            waves = await opened.enter_async_context(Waves(backend, time_limit=options.time_limit))
            means = _Means(prompter=prompter, meter=Meter(waves, usage), sandbox=sandbox, judge=None)
            if judge is not None:
                judging = waves
                if judge is not backend:
                    judging = await opened.enter_async_context(Waves(judge, time_limit=options.time_limit))
                usage.judging = Usage()
                means = replace(means, judge=judge_model(judge, Meter(judging, usage.judging), seed=options.seed))
            await _admit(samples, lambda sample: one(sample, means), waves)
    finally:
        cell.task.scorer.close()
    if spent:
        raise spent[0]


async def _admit(samples: Sequence[Sample], one: Callable[[Sample], Coroutine[Any, Any, None]], waves: Waves) -> None:
    """Start samples in task order while there is room; the first one that raises ends all."""
    running: set[asyncio.Task[None]] = set()
    ended = asyncio.Event()
    broken: list[BaseException] = []

    def end(task: asyncio.Task[None]) -> None:
        running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            broken.append(error)
        ended.set()

    waves.more = True
    copies: int = getattr(waves.backend, "copies", 1)
    try:
        for sample in samples:
            while running and (
                waves.pending_tokens >= copies * PENDING_TOKENS or len(running) >= copies * RUNNING_SAMPLES
            ):
                ended.clear()
                await ended.wait()
            if broken:
                break
            task = asyncio.create_task(one(sample))
            running.add(task)
            task.add_done_callback(end)
            await asyncio.sleep(0)  # it asks its first request now, so that its tokens count
        waves.more = False
        while running and not broken:
            ended.clear()
            await ended.wait()
    finally:
        waves.more = False
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if broken:
        raise broken[0]


async def _finished(cell: Cell, sample: Sample, means: _Means) -> dict[str, Any]:
    """The journal line of one sample. An error that belongs to the sample becomes part of the line."""
    reference = Reference()
    try:
        reference = cell.task.renderer.reference(sample)
        attempts = await _attempts(cell, sample, reference, means)
        if cell.task.scorer.waits:  # the loop serves other samples meanwhile
            return await asyncio.to_thread(scored_line, cell.name, cell.task, sample, reference, attempts)
        return scored_line(cell.name, cell.task, sample, reference, attempts)
    except (BudgetError, DiskError, UsageError):
        raise
    except EvalHarnessError as error:
        sentence = str(error)
    except Exception as error:
        sentence = f"internal error: {type(error).__name__}: {error}"
    return errored_line(cell.name, sample, reference, sentence)


async def _attempts(cell: Cell, sample: Sample, reference: Reference, means: _Means) -> Sequence[Attempt]:
    task = cell.task
    demonstrations = cell.demonstrations(sample)

    async def ask(repeat: int) -> Attempt:
        window = Ask(
            task=cell.name,
            sample=sample,
            reference=reference,
            demonstrations=demonstrations,
            renderer=task.renderer,
            prompter=means.prompter,
            waves=means.meter,
            sampling=task.sampling,
            seed=cell.options.seed,
            repeat=repeat,
            sandbox=means.sandbox,
            corpus=cell.corpus,
        )
        attempt = await task.method.run(window, task.method_options)
        return await _judged(cell, sample, reference, attempt, repeat, means) if task.judges else attempt

    if cell.repeats == 1:
        return [await ask(0)]
    return await asyncio.gather(*(ask(repeat) for repeat in range(cell.repeats)))


async def _judged(
    cell: Cell, sample: Sample, reference: Reference, attempt: Attempt, repeat: int, means: _Means
) -> Attempt:
    """The attempt with what every judge of the task says of it."""
    origin = Origin(task=cell.name, sample_id=sample.id, index=sample.index, repeat=repeat)
    bench = Bench(
        task=cell.name,
        sample=sample,
        reference=reference,
        attempt=attempt,
        repeat=repeat,
        parser=cell.task.parser,
        sandbox=means.sandbox,
        model=means.judge.of(origin) if means.judge else None,
    )
    found = await asyncio.gather(*(judge.verdicts(bench) for judge in cell.task.judges))
    return replace(attempt, verdicts=tuple(verdict for verdicts in found for verdict in verdicts))
