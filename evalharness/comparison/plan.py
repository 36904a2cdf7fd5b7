"""`check --plan`: what a gate can see with these samples, before a candidate is run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from evalharness.comparison.difference import difference
from evalharness.comparison.gate_options import Gate, GatedTask
from evalharness.comparison.pairing import paired
from evalharness.errors import NotComparableError, UsageError, nearest
from evalharness.records.run import ScoreRecord
from evalharness.records.scores import Scores, score_records
from evalharness.stats.power import needed_samples, non_inferiority_power


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """What one task of a gate can tell."""

    task: str
    metric: str
    n: int
    margin: float
    standard_error: float | None
    """Of the paired difference."""
    assumed: str
    """Where it comes from."""
    seen: float | None
    """The true drop that is called worse with the gate's power."""
    passes: float | None
    """Chance that a model with no true drop is called ok."""
    needed: int | None
    """Samples with which an unchanged model would be called ok with the gate's power."""


def plan(gate: Gate, baselines: Mapping[str, Scores], candidates: Mapping[str, Scores]) -> list[PlannedTask]:
    """Plan every task that has a baseline; a candidate's run, where one is there, says how the pairs vary.

    Raises:
        UsageError: no task of the gate has a baseline, or a baseline lacks the metric.
    """
    found = [
        _planned(gate, gated, baselines[gated.task], candidates.get(gated.task))
        for gated in gate.tasks
        if gated.task in baselines
    ]
    if not found:
        raise UsageError(
            f"gate {gate.gate}: no baseline of any of its tasks; save one with `evalharness baseline save`."
        )
    return found


def _planned(gate: Gate, gated: GatedTask, baseline: Scores, candidate: Scores | None) -> PlannedTask:
    metric = gated.metric or baseline.headline
    if metric not in baseline.metrics:
        raise UsageError(f"{baseline.place}: no metric '{metric}'; {nearest(metric, baseline.metrics)}")
    record = score_records(baseline)[metric]
    margin = gated.margin_at(record.value or 0.0)
    error, n, assumed = _error(gated, metric, baseline, record, candidate)
    alpha = gated.alpha or gate.alpha
    if not error:
        return PlannedTask(task=gated.task, metric=metric, n=n, margin=margin, standard_error=error, assumed=assumed,
                           seen=None, passes=None, needed=None)  # fmt: skip
    first = alpha / (len(gate.tasks) if gate.correction == "holm" else 1)
    quantile = NormalDist().inv_cdf
    return PlannedTask(
        task=gated.task,
        metric=metric,
        n=n,
        margin=margin,
        standard_error=error,
        assumed=assumed,
        seen=margin + (quantile(1 - first) + quantile(gate.power)) * error,
        passes=non_inferiority_power(0.0, margin, error, alpha),
        needed=needed_samples(margin, error * math.sqrt(n), alpha, gate.power, two_sided=False) if margin else None,
    )


def _error(
    gated: GatedTask, metric: str, baseline: Scores, record: ScoreRecord, candidate: Scores | None
) -> tuple[float | None, int, str]:
    """Standard error of the paired difference, the number of samples, and where it comes from."""
    if candidate is not None:
        try:
            pair = paired(baseline, candidate)
        except NotComparableError:
            pair = None
        found = pair and difference(pair.samples, metric, baseline.metrics[metric])
        if found and found.standard_error:
            return found.standard_error, found.n, "as between the two runs"
    if gated.discordance is not None:
        return math.sqrt(gated.discordance / record.n), record.n, f"{gated.discordance:.0%} of the samples flip"
    if record.standard_error is None:
        return None, record.n, "too few samples"
    return math.sqrt(2) * record.standard_error, record.n, "two runs that have nothing in common, the worst case"
