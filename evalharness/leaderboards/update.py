"""Committed baselines of a leaderboard: single runs added or replaced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from evalharness.errors import UsageError, nearest
from evalharness.leaderboards.options import Leaderboard, Model
from evalharness.leaderboards.sources import Sources, is_of
from evalharness.records.baseline import is_baseline
from evalharness.records.scores import Scores


def owner(board: Leaderboard, scores: Scores) -> Model:
    """The model that a run is of.

    Raises:
        UsageError: the run is of no model or of no task of the leaderboard, or it has not ended.
    """
    tasks = [column.task for column in board.columns]
    if scores.task not in tasks:
        raise UsageError(f"{scores.place}: no column is of {scores.task}; {nearest(scores.task, tasks)}")
    if scores.missing or not scores.samples:
        raise UsageError(f"{scores.place}: {len(scores.samples)} of {scores.asked} samples are there; finish it first.")
    for model in board.models:
        if is_of(scores, model):
            return model
    names = [model.model or model.name for model in board.models]
    raise UsageError(
        f"{scores.place}: no model of the leaderboard is '{scores.model_name}'; {nearest(scores.model_name, names)}"
    )


def target(path: Path, model: Model, scores: Scores, kept: Sequence[Scores], folder: Path) -> Path:
    """The file that keeps a model's run of a task under a protocol: the one that does so now, else a new one.

    Args:
        path: the definition's file.
        kept: what the model brings now.
        folder: of the leaderboard's baselines.

    Raises:
        UsageError: the model names its baselines file by file, and none of them is of that task and protocol.
    """
    for old in sorted(kept, key=lambda old: old.created, reverse=True):
        if (old.task, old.protocol) == (scores.task, scores.protocol) and is_baseline(Path(old.place)):
            return Path(old.place)
    folders = [path.parent / place for place in model.places if not place.endswith(".json")]
    if model.places and not folders:
        raise UsageError(
            f"{path}: models: {model.name}: none of its baselines is of {scores.task} under the protocol "
            f"{scores.protocol}; name a folder in place of the files."
        )
    own = folders[0] if folders else folder / _plain(model.name)
    return own / f"{_plain(scores.task)}-{_plain(scores.protocol)}.json"


def replaced(sources: Sources, model: Model, scores: Scores) -> Sources:
    """What the models bring once the run stands in place of the model's others of its task and protocol."""
    kept = [old for old in sources[model.name] if (old.task, old.protocol) != (scores.task, scores.protocol)]
    return {**sources, model.name: [*kept, scores]}


def _plain(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip(".") or "_"
