"""Scores over checkpoints: lines of a trend.jsonl, or of a family's models in the order of their numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.comparison.trend import read
from evalharness.errors import DataError
from evalharness.leaderboards.options import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One checkpoint."""

    checkpoint: str
    value: float | None
    """None where it was not measured."""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a plot."""

    title: str
    what: str
    """What the values and the band are."""
    points: tuple[Point, ...]


def of_file(path: Path) -> tuple[Series, ...]:
    """The gain over the baseline by task, in the order of the file; of a checkpoint checked twice, the later line.

    Raises:
        DataError: there is no such file, or a line of it is damaged.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; `evalharness check --trend FILE` or `watch` writes one.")
    lines = list({str(line["checkpoint"]): line for line in read(path)}.values())
    tasks = list(dict.fromkeys(task for line in lines for task in _tasks(line)))
    return tuple(
        Series(
            title=task,
            what="gain over the baseline, with its two one-sided bounds",
            points=tuple(_point(str(line["checkpoint"]), _tasks(line).get(task)) for line in lines),
        )
        for task in tasks
    )


def in_order(models: Sequence[Model], family: str) -> list[Model]:
    """A family's models by the numbers in their names, so that step 1000 comes after step 200."""
    members = [model for model in models if model.family == family]
    return sorted(members, key=lambda model: ([int(digits) for digits in re.findall(r"\d+", model.name)], model.name))


def _tasks(line: Mapping[str, Any]) -> Mapping[str, Any]:
    tasks = line.get("tasks")
    return tasks if isinstance(tasks, dict) else {}


def _point(checkpoint: str, facts: Any) -> Point:
    facts = facts if isinstance(facts, dict) else {}
    value, low, high = (_number(facts.get(key)) for key in ("gain", "lower", "upper"))
    return Point(checkpoint=checkpoint, value=value, low=low, high=high)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
