"""A checkpoint's runs for a gate: every task asked as the baseline's record says it was asked."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import typer

from evalharness.comparison.gate_options import Gate
from evalharness.errors import EvalHarnessError, FailedSamplesError
from evalharness.records.baseline import PLACES
from evalharness.records.folder import find_runs
from evalharness.records.scores import Scores, scores_of_run

AS_THE_BASELINE = ("dtype", "threads")
"""Details of the baseline's model that a candidate is computed with, so that only the weights differ."""


def evaluate(
    gate: Gate,
    baselines: Mapping[str, Scores],
    model: str,
    *,
    given: Mapping[str, Any],
    output: Path | None = None,
    quiet: bool = False,
) -> tuple[dict[str, Scores], dict[str, str]]:
    """Run a model on the gate's tasks that have a baseline.

    Args:
        given: options of the command line, which win over the baseline's.

    Returns:
        Scores by task; and by task why it was not run, where the gate's budget was spent.

    Raises:
        EvalHarnessError: the model or a task cannot be run. What failed by its samples only is in the scores.
    """
    from evalharness.run.models import LOADED_WITH, load_backend
    from evalharness.run.options import RunOptions
    from evalharness.run.progress import choose
    from evalharness.run.runner import run

    wanted = [gated.task for gated in gate.tasks if gated.task in baselines]
    requests = {task: RunOptions.model_validate(_request(baselines[task], model, given, output)) for task in wanted}
    scores: dict[str, Scores] = {}
    skipped: dict[str, str] = {}
    began, minutes = time.monotonic(), gate.budget.minutes
    for options, tasks in _alike(requests, LOADED_WITH):
        with closing(load_backend(model, options)) as backend:
            for task in tasks:
                if minutes is not None and time.monotonic() - began > 60 * minutes:
                    skipped[task] = f"not run: the budget of {minutes:g} minutes was spent before it"
                    continue
                try:
                    done = run(requests[task], backends=[backend], progress=choose(quiet=quiet))
                    scores[task] = scores_of_run(done[0])
                except FailedSamplesError as error:
                    typer.echo(f"evalharness: {error}", err=True)
                    scores[task] = scores_of_run(_last(task, requests[task].output))
    return scores, skipped


def _request(baseline: Scores, model: str, given: Mapping[str, Any], output: Path | None) -> dict[str, Any]:
    asked = {key: value for key, value in baseline.options.items() if key not in PLACES}
    computed = {key: baseline.model[key] for key in AS_THE_BASELINE if baseline.model.get(key) is not None}
    where = {"output": output / baseline.task.replace("/", "_")} if output else {}
    return {**asked, **computed, **where, **given, "model": (model,)}


def _alike(requests: Mapping[str, Any], keys: Sequence[str]) -> list[tuple[Any, list[str]]]:
    """Tasks whose models are loaded alike, so that one loading serves them."""
    groups: dict[str, list[str]] = {}
    for task, options in requests.items():
        groups.setdefault(repr([getattr(options, key) for key in keys]), []).append(task)
    return [(requests[tasks[0]], tasks) for tasks in groups.values()]


def _last(task: str, output: Path | None) -> Any:
    """The run that has just failed: a gate must see its samples, not only that it failed."""
    from evalharness.run.runner import RUNS

    runs = [run for run in find_runs(output or RUNS) if run.record.task == task]
    if not runs:
        raise EvalHarnessError(f"{output or RUNS}: the run of {task} has left no record.")
    return runs[-1]
