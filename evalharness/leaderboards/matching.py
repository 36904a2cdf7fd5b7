"""Which of a model's runs stands in a column, and what says that it measured something else than the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalharness.comparison.pairing import SHOWN, obstacles
from evalharness.errors import DataError, NotComparableError, nearest
from evalharness.leaderboards.options import Column, Leaderboard
from evalharness.leaderboards.sources import Sources
from evalharness.records.run import ScoreRecord
from evalharness.records.scores import MetricFacts, Scores, score_records


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model's run in a column."""

    scores: Scores
    score: ScoreRecord | None
    """None where the run has not the column's metric."""
    obstacles: tuple[str, ...] = ()
    """Why it is left out of ranks and averages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A column with its runs."""

    column: Column
    metric: str
    facts: MetricFacts
    reference: Scores
    """The first model's run that is what the column declares, without a failed sample; the others must be like it."""
    entries: Mapping[str, Entry]
    """By model; without those that have no run."""

    @property
    def counted(self) -> dict[str, Entry]:
        return {model: entry for model, entry in self.entries.items() if not entry.obstacles}


def fill(path: Path, board: Leaderboard, column: Column, sources: Sources) -> Filled:
    """Choose each model's run: the newest one that fits, else the newest, with what speaks against it.

    Raises:
        DataError: no model has a run, or the column's has not the metric.
        NotComparableError: a run does not fit, and the leaderboard refuses such.
    """
    candidates = {model.name: _candidates(board, column, sources[model.name]) for model in board.models}
    every = [scores for found in candidates.values() for scores in found]
    if not every:
        raise DataError(f"{path}: columns: {column.name}: no model has a run of {column.task}{_under(column)}.")
    declared = [scores for scores in every if not _undeclared(column, scores)] or every
    # A failed sample changes n: a run that has one would leave out all the others.
    reference = next((scores for scores in declared if not scores.failed), declared[0])
    metric = column.metric or reference.headline
    if metric not in reference.metrics:
        raise DataError(
            f"{path}: columns: {column.name}: {reference.place} has no metric '{metric}'; "
            f"{nearest(metric, reference.metrics)}"
        )
    n = _score(reference, metric)[1]
    entries = {}
    for name, found in candidates.items():
        if found:
            judged = [_entry(column, scores, reference, metric, n) for scores in found]
            entries[name] = next((entry for entry in judged if not entry.obstacles), judged[0])
    if board.mismatch == "refuse":
        for name, entry in entries.items():
            if entry.obstacles:
                raise NotComparableError(
                    f"{path}: columns: {column.name}: {entry.scores.place} of {name} does not fit: "
                    f"{'; '.join(entry.obstacles)}."
                )
    facts = reference.metrics[metric]
    return Filled(column=column, metric=metric, facts=facts, reference=reference, entries=entries)


def _candidates(board: Leaderboard, column: Column, scores: Sequence[Scores]) -> list[Scores]:
    """Runs of the column's task, newest first, but none that stands in another column under its own protocol.

    Variants come last. Of one time they are sorted by id and place, so that no order of reading matters.
    """
    others = {other.protocol for other in board.columns if other.task == column.task} - {column.protocol, None}
    found = [one for one in scores if one.task == column.task and one.protocol not in others]
    return sorted(found, key=lambda one: (not one.variant, one.created, one.run, one.place), reverse=True)


def _entry(column: Column, scores: Scores, reference: Scores, metric: str, n: int) -> Entry:
    score, scored = _score(scores, metric)
    found = _undeclared(column, scores)
    if not found and scores is not reference:
        found = _different(scores, reference)
    if score is None:
        found.append(f"the run has no metric {metric}")
    elif not found and scored != n:
        found.append(f"n is {n} in the column and {scored} in this run")
    elif score.value is None or not math.isfinite(score.value):
        found.append("its value is no finite number")
    return Entry(scores=scores, score=score, obstacles=tuple(found))


def _undeclared(column: Column, scores: Scores) -> list[str]:
    """Where a run is not what the column declares."""
    found = []
    if column.protocol is not None and scores.protocol != column.protocol:
        found.append(f"the protocol is {column.protocol} in the column and {scores.protocol} in this run")
    hash = scores.hashes.get("protocol", "")
    if column.protocol_hash is not None and not hash.startswith(column.protocol_hash):
        declared = column.protocol_hash[:SHOWN]
        found.append(f"the protocol's hash is {declared} in the column and {hash[:SHOWN] or 'missing'} in this run")
    if column.version is not None and scores.version != column.version:
        found.append(f"the task's version is {column.version} in the column and {scores.version} in this run")
    n = _score(scores, column.metric or scores.headline)[1] if column.n is not None else None
    if n != column.n:
        found.append(f"n is {column.n} in the column and {n} in this run")
    return found


def _different(scores: Scores, reference: Scores) -> list[str]:
    """Where a run is not what the column's first one is."""
    shared = sorted(scores.samples.keys() & reference.samples.keys())
    pairs = tuple((reference.samples[id], scores.samples[id]) for id in shared)
    found = obstacles(reference, scores, pairs)
    if len(shared) < max(len(scores.samples), len(reference.samples)):
        found.append(
            f"its samples are others: {len(reference.samples)} in the column and {len(scores.samples)} in this run, "
            f"{len(shared)} of them shared"
        )
    return [_placed(clause) for clause in found]


def _placed(clause: str) -> str:
    """``... is X here and Y there`` with the two sides by their names."""
    if not clause.endswith(" there"):
        return clause
    return clause.removesuffix(" there").replace(" here and ", " in the column and ") + " in this run"


def _score(scores: Scores, metric: str) -> tuple[ScoreRecord | None, int]:
    score = score_records(scores).get(metric)
    return score, 0 if score is None else score.n


def _under(column: Column) -> str:
    return f" under the protocol {column.protocol}" if column.protocol else ""
