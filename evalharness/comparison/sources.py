"""What a comparison is given: a run's folder, a baseline's file, or a folder that holds several of either."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from evalharness.errors import UsageError
from evalharness.records.baseline import read_baseline, scores_of_baseline
from evalharness.records.folder import find_runs, read_run
from evalharness.records.format import RUN, SAMPLES
from evalharness.records.scores import Scores, scores_of_run


def load(place: Path, tasks: Collection[str] | None = None, *, newest: bool = False) -> list[Scores]:
    """The scores at a place, oldest first.

    Args:
        tasks: only these; None is all.
        newest: of several runs of one task, only the one that began last; a variant only where all are.

    Raises:
        UsageError: nothing is there, or neither run nor baseline.
        DataError: a file is damaged.
    """
    if place.is_file():
        return [scores_of_baseline(place)]
    if not place.is_dir():
        raise UsageError(f"{place}: no such run, baseline or folder; `evalharness runs` lists the runs.")
    if (place / RUN).is_file() or (place / SAMPLES).is_file():
        return [scores_of_run(read_run(place))]
    baselines = [path for path in sorted(place.glob("*.json")) if tasks is None or _task(path) in tasks]
    runs = [run for run in find_runs(place) if tasks is None or run.record.task in tasks]
    if newest:
        plain_last = sorted(runs, key=lambda run: "unperturbed" not in run.record.hashes)
        runs = list({run.record.task: run for run in plain_last}.values())
    if not baselines and not runs:
        raise UsageError(
            f"{place}: neither runs nor baselines{_of(tasks)} are there; `evalharness runs` lists the runs."
        )
    return [scores_of_baseline(path) for path in baselines] + [scores_of_run(run) for run in runs]


def _task(path: Path) -> str:
    return read_baseline(path).task


def _of(tasks: Collection[str] | None) -> str:
    return f" of {', '.join(sorted(tasks))}" if tasks else ""


def load_all(places: Iterable[Path]) -> list[Scores]:
    """Everything at several places, in their order.

    Raises:
        UsageError, DataError: as `load`.
    """
    return [scores for place in places for scores in load(place)]
