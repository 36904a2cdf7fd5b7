"""Runs cells: models loaded once, folders opened or resumed, results computed and written."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalharness.errors import EvalHarnessError, FailedSamplesError, UsageError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.records.environment import environment, without_secrets
from evalharness.records.folder import Run, read_run
from evalharness.records.format import RUN
from evalharness.records.journal import Journal
from evalharness.records.run import EngineLayer, ResultsRecord, RunRecord, State, differences
from evalharness.run.accounting import Usage
from evalharness.run.execute import execute, fits, fits_judge
from evalharness.run.judges import Judge, judge_for
from evalharness.run.lines import headline
from evalharness.run.models import load_backend
from evalharness.run.options import RunOptions
from evalharness.run.plan import Cell, LeaveOut, plan, settings_of
from evalharness.run.progress import Progress, Silent, showing
from evalharness.run.sandboxes import pool_for
from evalharness.run.summary import of_cell
from evalharness.sandbox.pool import Pool
from evalharness.tasks.protocol_hash import judged_by
from evalharness.tasks.task import Task
from evalharness.types import Backend

RUNS = Path("runs")
"""Where runs lie unless --output says otherwise."""

Report = Callable[[Run, ResultsRecord], None]


class InterruptedRun(KeyboardInterrupt):
    """Ctrl-C during a run, with the sentence that says what is done and how to go on."""


@dataclass(frozen=True, slots=True)
class Model:
    """A backend and what was typed for it."""

    backend: Backend
    spec: str


@dataclass(frozen=True, slots=True)
class _Means:
    """What a cell is run with besides the model that it measures."""

    sandbox: Pool | None
    judge: Model | None


def run(
    options: RunOptions,
    *,
    tasks: Sequence[Task] = (),
    backends: Sequence[Backend] = (),
    progress: Progress | None = None,
    report: Report | None = None,
    leave_out: LeaveOut | None = None,
) -> list[Run]:
    """Run every cell of a request and return the runs, in order.

    Args:
        tasks: tasks already loaded, in place of ``options.task``.
        backends: models already at hand, in place of ``options.model``.
        report: called with each run as it finishes.
        leave_out: called with each column of a suite's layout that cannot be run here, before anything is.

    Raises:
        EvalHarnessError: see docs/errors.md; what was measured stays in the runs' folders.
        InterruptedRun: Ctrl-C.
    """
    cells = plan(options, tasks, leave_out)
    specs = [] if backends else options.model
    done: list[Run] = []
    with pool_for(cells) as sandbox, judge_for(cells, options) as judge:
        for model in [Model(backend, backend.info.name) for backend in backends] or specs:
            if isinstance(model, str):
                with closing(load_backend(model, options)) as backend:
                    loaded = Model(backend, model)
                    done += _cells(cells, loaded, sandbox, judge, progress or Silent(), report, many=len(specs) > 1)
            else:
                done += _cells(cells, model, sandbox, judge, progress or Silent(), report, many=len(backends) > 1)
    return done


def _cells(
    cells: Sequence[Cell],
    model: Model,
    sandbox: Pool | None,
    judges: Judge | None,
    progress: Progress,
    report: Report | None,
    *,
    many: bool,
) -> list[Run]:
    judge = Model(judges.beside(model.spec, model.backend), judges.spec) if judges else None
    # Every cell is checked against the models before the first one runs.
    for cell in cells:
        fits(cell, model.backend)
        fits_judge(cell, judge.backend if judge else None)
    progress.plan(len(cells))
    done = []
    for cell in cells:
        means = _Means(sandbox if cell.task.executes else None, judge if cell.task.asks_judge else None)
        run = _open(cell, model, means, several=many or len(cells) > 1)
        results = _run_cell(cell, model, means, run, progress)
        if report:
            report(run, results)
        done.append(run)
    return done


# --------------------------------------------------------------------------- one cell


def _run_cell(cell: Cell, model: Model, means: _Means, run: Run, progress: Progress) -> ResultsRecord:
    with Journal(run.journal) as journal:
        finished = {sample for sample, failed in journal.done.items() if not failed}
        waiting = [sample for sample in cell.samples if sample.id not in finished]
        before = run.results.seconds if run.results else 0.0
        began = time.perf_counter()
        usage = Usage()
        judge = means.judge.backend if means.judge else None
        for told in (engine_report, spent):
            told(model.backend)  # what was counted before belongs to another cell
        run.write(run.record.model_copy(update={"state": "running", "sandbox": _facts(means.sandbox)}))

        def close(state: State) -> ResultsRecord:
            seconds = before + time.perf_counter() - began
            results = _summary(cell, run, usage, model.backend, seconds)
            run.write(_ended(run, state))
            return results

        try:
            with showing(progress, cell.name, len(cell.samples), len(cell.samples) - len(waiting), usage):

                def sink(line: Mapping[str, Any]) -> None:
                    journal.append(line)
                    progress.advance(headline(line))

                if waiting:
                    for loading in filter(None, (model.backend, judge)):
                        warm(loading)
                    began = time.perf_counter()
                    asyncio.run(execute(cell, model.backend, waiting, sink, usage, means.sandbox, judge))
        except (KeyboardInterrupt, asyncio.CancelledError):
            close("interrupted")
            raise InterruptedRun(_interrupted(cell, run)) from None
        except BaseException:
            # What ended the run is told, and not that a full or vanished disk does not take the summary either.
            with suppress(EvalHarnessError):
                close("failed")
            raise
        results = close("finished")
    errored = results.counts["errored"]
    if errored > cell.options.max_errors * len(cell.samples):
        run.write(_ended(run, "failed"))
        raise FailedSamplesError(
            f"{cell.name}: {errored} of {results.samples} samples failed, more than --max-errors "
            f"{cell.options.max_errors:g} allows; each says why in {run.journal}."
        )
    return results


def warm(backend: Backend) -> None:
    """Load the weights now, where a backend can: a damaged model is one error, not one for each sample."""
    load = getattr(backend, "warm", None)
    if load is not None:
        load()


EngineTold = tuple[dict[str, float], list[dict[str, float]]]


def engine_report(backend: Backend) -> EngineTold:
    """What a backend's engine counted since it was last asked, and its tree; nothing where it counts nothing."""
    report = getattr(backend, "report", None)
    return report() if report is not None else ({}, [])


def kernels(backend: Backend) -> Mapping[str, list[str]]:
    """By op, which implementations of our own stack computed; nothing for other backends."""
    told = getattr(backend, "kernels", None)
    return told() if told is not None else {}


def spent(backend: Backend) -> Mapping[str, float]:
    """What was spent at a server, and saved by a cache, since this was last asked."""
    told = getattr(backend, "spent", None)
    return told() if told is not None else {}


def _summary(cell: Cell, run: Run, usage: Usage, backend: Backend, seconds: float) -> ResultsRecord:
    """Write results.json; what earlier sessions of a resumed run used is added."""
    before = run.results.usage if run.results else {}
    counts = {key: count + before.get(key, 0) for key, count in usage.counts().items()}
    engine, tree = engine_report(backend)
    told = {
        "engine": engine,
        "engine_tree": [EngineLayer.model_validate(layer) for layer in tree],
        "kernels": kernels(backend),
        "spent": _added(run.results.spent if run.results else {}, spent(backend)),
    }
    results = of_cell(cell, run.lines(), run.record.id, counts, seconds).model_copy(update=told)
    run.write(results)
    return results


def _added(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    return {name: round(before.get(name, 0.0) + now.get(name, 0.0), 6) for name in [*before, *now]}


def _ended(run: Run, state: State) -> RunRecord:
    return run.record.model_copy(update={"state": state, "finished": now()})


def _interrupted(cell: Cell, run: Run) -> str:
    done = sum(1 for line in run.lines() if not line.get("error"))
    return (
        f"interrupted: {done} of {len(cell.samples)} samples of {cell.name} are done and kept in {run.path}; "
        "run the same command again to go on."
    )


# --------------------------------------------------------------------------- folders


def _open(cell: Cell, model: Model, means: _Means, *, several: bool) -> Run:
    """The folder of a new run, or of an unfinished one with the same settings.

    Raises:
        UsageError: --output names a run of other settings, or a folder of something else.
    """
    record = _record(cell, model, means)
    suffix = f"{_slug(cell.name)}-{_slug(model.backend.info.name)}-{record.hashes['settings'][:8]}"
    chosen = cell.options.output
    if chosen is not None:
        path = chosen / suffix if several else chosen
        if (path / RUN).is_file():
            return _resumed(read_run(path), record, cell.options)
        if path.is_dir() and any(path.iterdir()):
            raise UsageError(f"--output {path}: this folder holds other files; name a new or empty one.")
    else:
        if cell.options.resume and (unfinished := _unfinished(suffix, record.settings)):
            return unfinished
        path = _new(RUNS / f"{record.created[:10]}-{suffix}")
    run = Run(path)
    run.write(record.model_copy(update={"id": path.name}))
    return run


def _resumed(run: Run, record: RunRecord, options: RunOptions) -> Run:
    if not options.resume:
        raise UsageError(f"--output {run.path}: holds a run already; with --no-resume name another folder.")
    if found := differences(run.record.settings, record.settings):
        raise UsageError(
            f"--output {run.path}: holds a run with other settings ({'; '.join(found[:5])}); name another folder, "
            "or ask for the same settings to go on with it."
        )
    return run


def _unfinished(suffix: str, settings: Mapping[str, Any]) -> Run | None:
    """The latest run of these settings that has samples to ask; of the other runs only the names are read."""
    named = re.compile(rf"\d{{4}}-\d\d-\d\d-{re.escape(suffix)}(-\d+)?")
    runs = [Run(path.parent) for path in RUNS.glob(f"*/{RUN}") if named.fullmatch(path.parent.name)]
    unfinished = [run for run in runs if _incomplete(run) and run.record.settings == settings]
    return max(unfinished, key=lambda run: run.record.created, default=None)


def _incomplete(run: Run) -> bool:
    """Whether a run has samples to ask: it has not ended, or some of its samples failed."""
    return run.record.state != "finished" or (run.results is not None and run.results.counts.get("errored", 0) > 0)


def _new(path: Path) -> Path:
    """`path`, or the first of ``path-2``, ``path-3``, ... that does not exist."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def _record(cell: Cell, model: Model, means: _Means) -> RunRecord:
    facts, executed_in = _model_facts(model.backend), _facts(means.sandbox)
    judge = {**_model_facts(means.judge.backend), "spec": without_secrets(means.judge.spec)} if means.judge else None
    of_protocols = ("protocol", "unperturbed")
    hashes = {key: judged_by(hash, judge) if key in of_protocols else hash for key, hash in cell.hashes.items()}
    settings = without_secrets(settings_of(cell, facts, executed_in) | {"hashes": hashes})
    return RunRecord(
        id="",
        state="running",
        created=now(),
        task=cell.name,
        protocol=cell.task.protocol,
        definition=cell.task.definition.model_dump(
            mode="json", exclude_defaults=True, exclude={"examples", "protocols"}
        ),
        task_source=str(cell.task.path),
        model=facts,
        model_spec=without_secrets(model.spec),
        options=without_secrets(cell.options.model_dump(mode="json", exclude_defaults=True)),
        settings=settings,
        hashes={**hashes, "settings": sha256_text(canonical_json(settings))},
        samples=len(cell.samples),
        of=cell.of,
        data=[asdict(source) for source in cell.sources],
        environment=environment(),
        sandbox=executed_in,
        judge=judge,
    )


def _model_facts(backend: Backend) -> dict[str, Any]:
    info, tokenizer = backend.info, backend.tokenizer
    return {
        **asdict(info),
        "accepts": sorted(info.accepts),
        "verbs": sorted(info.verbs),
        "details": dict(info.details),
        "tokenizer": tokenizer.fingerprint if tokenizer else None,
    }


def _facts(sandbox: Pool | None) -> dict[str, Any] | None:
    return None if sandbox is None else sandbox.sandbox.facts()


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
