"""Whose runs and committed baselines are whose: what every model of a leaderboard brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evalharness.comparison.sources import load
from evalharness.errors import DataError, UsageError
from evalharness.leaderboards.options import Leaderboard, Model
from evalharness.records.baseline import scores_of_baseline
from evalharness.records.folder import find_runs
from evalharness.records.scores import Scores, scores_of_run

Sources = dict[str, list[Scores]]
"""By model."""


def baselines_of(path: Path, board: Leaderboard) -> Path:
    """Where a leaderboard's own baselines lie unless a folder is named."""
    return path.parent / "baselines" / board.leaderboard


def collect(path: Path, board: Leaderboard, *, runs: Path | None = None, baselines: Path | None = None) -> Sources:
    """Everything that the models bring.

    Args:
        path: the definition's file; a model's own baselines lie beside it.
        runs: a folder of runs; those that have not ended are passed over.
        baselines: a folder of committed baselines, in place of the leaderboard's own.

    Raises:
        UsageError: a folder that was named is not there, or holds nothing.
        DataError: a file is damaged, or a model's baselines are not there.
    """
    loose = _committed(path, board, baselines)
    tasks = {column.task for column in board.columns}
    found: Sources = {}
    for model in board.models:
        own = [scores for place in model.places for scores in _own(path, model, place)]
        found[model.name] = own or [scores for scores in loose if is_of(scores, model)]
    if runs is not None:
        _add_runs(runs, board, tasks, found)
    return found


def check_complete(path: Path, board: Leaderboard, found: Sources, looked_in: Sequence[Path]) -> None:
    """Every model must bring something.

    Raises:
        DataError: one brings nothing; it is named.
    """
    tasks = {column.task for column in board.columns}
    for model in board.models:
        if not any(scores.task in tasks for scores in found[model.name]):
            places = [*(path.parent / place for place in model.places), *looked_in]
            where = " or ".join(str(place) for place in places)
            raise DataError(
                f"{path}: models: {model.name}: no finished run and no baseline of '{model.model or model.name}' in "
                f"a task of the columns is in {where}; run it, correct its name, or take the model out."
            )


def is_of(scores: Scores, model: Model) -> bool:
    """Whether scores are a model's: by its fingerprint where that is given, else by its name."""
    if model.fingerprint is not None:
        return str(scores.model.get("fingerprint", "")).startswith(model.fingerprint)
    return scores.model_name == (model.model or model.name)


def _committed(path: Path, board: Leaderboard, named: Path | None) -> list[Scores]:
    folder = named or baselines_of(path, board)
    if named is not None and not folder.is_dir():
        raise UsageError(f"--baselines {named}: no such folder.")
    found = [scores_of_baseline(file) for file in sorted(folder.rglob("*.json"))]
    if named is not None and not found:
        raise UsageError(f"--baselines {named}: no baseline is there; `evalharness leaderboard update` writes them.")
    return found


def _own(path: Path, model: Model, place: str) -> list[Scores]:
    where = path.parent / place
    if not where.exists() and where.suffix != ".json":
        return []  # `update` makes it
    try:
        return load(where)
    except UsageError as error:
        raise DataError(f"{path}: models: {model.name}: baselines: {error}") from None


def _add_runs(folder: Path, board: Leaderboard, tasks: set[str], found: Sources) -> None:
    if not folder.is_dir():
        raise UsageError(f"--runs {folder}: no such folder.")
    runs = find_runs(folder)
    if not runs:
        raise UsageError(f"--runs {folder}: no run is there; `evalharness run --task NAME --output DIR` makes one.")
    for run in runs:
        record = run.record
        if record.task not in tasks or record.state != "finished":
            continue
        owners = [model for model in board.models if _runs_model(record.model, model)]
        if owners:  # a journal is long, so only those that are wanted are read
            scores = scores_of_run(run)
            for model in owners:
                found[model.name].append(scores)


def _runs_model(facts: dict[str, object], model: Model) -> bool:
    if model.fingerprint is not None:
        return str(facts.get("fingerprint", "")).startswith(model.fingerprint)
    return facts.get("name") == (model.model or model.name)
