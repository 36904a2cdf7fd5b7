"""The average of a suite: shown only where every part of it has finished."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evalharness.records.environment import without_secrets
from evalharness.records.folder import Run
from evalharness.records.run import ResultsRecord, ScoreRecord
from evalharness.run.options import RunOptions
from evalharness.run.plan import settled
from evalharness.tasks.task import expand

Z = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteAverage:
    """The mean of the headline scores of a suite's parts, for one model."""

    suite: str
    model: str
    value: float | None
    """None where a part is missing."""
    low: float | None = None
    high: float | None = None
    parts: tuple[str, ...]
    missing: tuple[str, ...] = ()
    """Parts that have not finished, or that have no score."""


def averages(options: RunOptions, finished: Sequence[tuple[Run, ResultsRecord]]) -> list[SuiteAverage]:
    """The average of every suite that was asked for, for every model.

    The parts count alike. The interval is normal, of the standard error ``√(Σ sᵢ²) / k`` of k parts whose samples
    are drawn apart.
    """
    wanted = expand(options.task, options.include)
    found: list[SuiteAverage] = []
    for suite in dict.fromkeys(item.suite for item in wanted if item.suite):
        members = [item for item in wanted if item.suite == suite and item.average]
        for spec in dict.fromkeys(run.record.model_spec for run, _ in finished):
            of_model = [(run, results) for run, results in finished if run.record.model_spec == spec]
            parts = {
                f"{item.name}{''.join(f' {key}={value}' for key, value in item.options.items())}": _score(
                    settled(item, options), of_model
                )
                for item in members
            }
            if parts:
                found.append(average_of(suite, str(of_model[0][0].record.model["name"]), parts))
    return found


def _score(asked: RunOptions, finished: Sequence[tuple[Run, ResultsRecord]]) -> ScoreRecord | None:
    """The headline score of the finished run of these options."""
    wanted = without_secrets(asked.model_dump(mode="json", exclude_defaults=True))
    for run, results in finished:
        if run.record.options == wanted and run.record.state == "finished":
            return next(iter(results.scores.values()))
    return None


def average_of(suite: str, model: str, parts: Mapping[str, ScoreRecord | None]) -> SuiteAverage:
    """The mean of these parts' scores; none where one is missing."""
    names = tuple(parts)
    scores = [score for score in parts.values() if score is not None and score.value is not None]
    if len(scores) < len(parts):
        missing = tuple(name for name, score in parts.items() if score is None or score.value is None)
        return SuiteAverage(suite=suite, model=model, value=None, parts=names, missing=missing)
    value = math.fsum(score.value or 0.0 for score in scores) / len(scores)
    errors = [score.standard_error for score in scores]
    if any(error is None for error in errors):
        return SuiteAverage(suite=suite, model=model, value=value, parts=names)
    half = Z * math.sqrt(math.fsum((error or 0.0) ** 2 for error in errors)) / len(scores)
    return SuiteAverage(suite=suite, model=model, value=value, low=value - half, high=value + half, parts=names)
