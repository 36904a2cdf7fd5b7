"""What a training's folder says of it: the log, the evaluations of its checkpoints, what it was asked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalharness.errors import DataError, UsageError
from evalharness.pages.line_chart import Point

LOG, EVALUATIONS, RUN = "log.jsonl", "evaluations.jsonl", "run.json"
BEFORE_AND_AFTER = "before_and_after.json"
"""What a fine-tuning has changed, by task."""
HALF_LIFE = 0.01
"""A smoothed value forgets half of what was before within this share of the logged steps, and within one at least."""
FEWEST_SMOOTHED = 50
"""Logged steps of which a curve shows enough by itself."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrainingLog:
    """A training as its files tell it."""

    folder: Path
    asked: Row
    """run.json."""
    rows: tuple[Row, ...]
    """Logged steps and validations, in order: what the training kept."""
    lost: tuple[tuple[Row, ...], ...]
    """Stretches of steps that it took back, because it went back to a checkpoint."""
    events: tuple[Row, ...]
    evaluations: tuple[Row, ...]
    """One a checkpoint, by step."""
    changes: tuple[Row, ...] = ()
    """Of a fine-tuning, by task: the model before and after."""

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    def points(self, *keys: str) -> list[Point]:
        """A quantity over steps, under the first of these keys that a row has."""
        return list(_points(self.rows, keys))

    def lost_points(self, *keys: str) -> list[Point]:
        """The same of the steps that were taken back, each stretch ended by a gap."""
        found: list[Point] = []
        for stretch in self.lost:
            if points := list(_points(stretch, keys)):
                found += [*points, Point(points[-1].x, math.nan)]
        return found

    def scores(self) -> dict[tuple[str, str], Scored]:
        """Scores over checkpoints by task and metric."""
        found: dict[tuple[str, str], Scored] = {}
        for row in self.evaluations:
            for task, told in _mapping(row.get("tasks")).items():
                for metric, score in _mapping(_mapping(told).get("metrics")).items():
                    value = _number(score.get("value"))
                    one = found.setdefault((task, metric), Scored())
                    if value is not None:
                        one.points.append(
                            Point(row["step"], value, _number(score.get("low")), _number(score.get("high")))
                        )
                        one.samples.append(int(score.get("n", 0)))
                    one.chance = _number(score.get("chance")) if one.chance is None else one.chance
        return found


@dataclass(slots=True)
class Scored:
    """One score over checkpoints."""

    points: list[Point] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    """Of each point."""
    chance: float | None = None


def is_training(folder: Path) -> bool:
    """Whether a folder is a training's, as `evalharness pretrain` writes it."""
    return (folder / LOG).is_file()


def read_training(folder: Path) -> TrainingLog:
    """Read a training's folder; one that goes on at this moment may end with half a line, which is left out.

    Raises:
        UsageError: it is none.
        DataError: a file is damaged.
    """
    if not is_training(folder):
        raise UsageError(f"{folder}: no training here (it has no {LOG}); `evalharness pretrain` makes one.")
    kept: list[Row] = []
    lost: list[tuple[Row, ...]] = []
    events: list[Row] = []
    for row in _lines(folder / LOG):
        if "event" in row:
            events.append(row)
        # A rewind names the step that it went back to; a step that is there already is computed anew.
        first = row["step"] + 1 if row.get("event") == "rewind" else row["step"]
        if row.get("event") == "rewind" or "loss" in row:
            lost += _taken_back(kept, first)
        if "event" not in row:
            kept.append(row)
    evaluations = {row["step"]: row for row in _lines(folder / EVALUATIONS)}
    return TrainingLog(
        folder=folder,
        asked=_json(folder / RUN),
        rows=tuple(kept),
        lost=tuple(lost),
        events=tuple(events),
        evaluations=tuple(evaluations[step] for step in sorted(evaluations)),
        changes=tuple(_rows(folder / BEFORE_AND_AFTER)),
    )


def smoothed(points: list[Point]) -> list[Point]:
    """The exponential mean ``Σ d^(t-i) y_i / Σ d^(t-i)`` over what is finite, d by `HALF_LIFE`; nothing of fewer points
    than `FEWEST_SMOOTHED`."""
    if len(points) < FEWEST_SMOOTHED:
        return []
    decay = 0.5 ** (1 / max(1.0, HALF_LIFE * len(points)))
    total = weight = 0.0
    found = []
    for point in points:
        if math.isfinite(point.y):
            total, weight = decay * total + point.y, decay * weight + 1
        found.append(Point(point.x, total / weight if weight else math.nan))
    return found


def _taken_back(kept: list[Row], first: int) -> list[tuple[Row, ...]]:
    """Take the rows from a step on away from those that are kept."""
    begin = len(kept)
    while begin and kept[begin - 1]["step"] >= first:
        begin -= 1
    stretch = tuple(kept[begin:])
    del kept[begin:]
    return [stretch] if stretch else []


def _points(rows: tuple[Row, ...], keys: tuple[str, ...]) -> Iterator[Point]:
    for row in rows:
        value = next((_number(row[key]) for key in keys if key in row), None)
        if value is not None:
            yield Point(row["step"], value)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, none where it is not there."""
    if not path.is_file():
        return []
    found = []
    raw = _read(path)
    for number, line in enumerate(raw[: raw.rfind(b"\n") + 1].splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            raise DataError(f"{path}: line {number} is damaged: it is no JSON object with a step.")
        found.append(row)
    return found


def _json(path: Path) -> Row:
    return _mapping(_parsed(path))


def _rows(path: Path) -> list[Row]:
    values = _parsed(path)
    return [_mapping(value) for value in values] if isinstance(values, list) else []


def _parsed(path: Path) -> object:
    """None where there is no file."""
    if not path.is_file():
        return None
    try:
        return json.loads(_read(path))
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}.") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
