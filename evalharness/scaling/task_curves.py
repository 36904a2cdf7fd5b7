"""Scores of tasks over scale, under metrics that jump and metrics that do not.

An ability that seems to appear at some scale may have grown smoothly all the while: a whole answer of L tokens is right
with about the L-th power of a token's probability, so exact match stays at 0 and then rises while the log-likelihood
falls in a line (Schaeffer et al. 2023, arXiv 2304.15004).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from evalharness.scaling.points import ScalingPoint, TaskScore, frontier

SHARP = frozenset(
    {
        "exact_match", "lm_eval_exact_match", "acc", "acc_norm", "acc_bytes", "greedy_choice", "greedy_match",
        "contains", "passes", "tests_passed", "math_equal", "math_verify", "minerva_equal", "hendrycks_equal",
        "function_call", "api_call", "prompt_followed", "hits_at_k", "judgement_accuracy",
    }
)  # fmt: skip
"""Metrics that count an answer as right or wrong."""
SMOOTH = frozenset(
    {
        "perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "probability_mass", "likelihood_diff",
        "brier", "log_likelihood",
    }
)  # fmt: skip
"""Metrics that a model's probabilities move continuously."""
FEWEST = 3
"""Runs over which a curve says something."""

Kind = Literal["sharp", "smooth", "other"]


@dataclass(frozen=True, slots=True)
class MetricCurve:
    """One metric of one task over the runs, by operations."""

    metric: str
    kind: Kind
    runs: tuple[tuple[ScalingPoint, TaskScore], ...]
    emergence: float | None
    """`emergence_score` over the runs that are best for their operations; None where too few."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskCurves:
    """A task under all its metrics, the sharp ones first."""

    task: str
    curves: tuple[MetricCurve, ...]

    @property
    def both(self) -> bool:
        """Whether it is seen under a metric of each kind."""
        return {"sharp", "smooth"} <= {curve.kind for curve in self.curves}


def task_curves(points: Sequence[ScalingPoint]) -> list[TaskCurves]:
    """Every task that `FEWEST` runs were asked."""
    ordered = sorted(points, key=lambda point: (point.compute, point.name))
    scored = dict.fromkeys(key for point in ordered for key in point.scores)
    curves: dict[str, list[MetricCurve]] = {}
    for task, metric in scored:
        runs = [(point, point.scores[task, metric]) for point in ordered if (task, metric) in point.scores]
        if len(runs) >= FEWEST:
            curves.setdefault(task, []).append(_curve(metric, runs))
    order = ("sharp", "smooth", "other")
    return [
        TaskCurves(task, tuple(sorted(found, key=lambda one: order.index(one.kind)))) for task, found in curves.items()
    ]


def kind_of(metric: str) -> Kind:
    """By the metric's registered name; of a label of its own nothing is known."""
    return "sharp" if metric in SHARP else "smooth" if metric in SMOOTH else "other"


def emergence_score(values: Sequence[float]) -> float:
    """``sign(argmax - argmin) (max - min) / sqrt(median of squared steps)`` of values in the order of scale (Schaeffer
    et al. 2023, section 4, after BIG-bench); infinite where most steps are 0.

    >>> emergence_score([0.0, 0.0, 0.01, 0.8])
    80.0
    """
    if len(values) < 2:
        raise ValueError("an emergence score needs two values or more.")
    steps = [(after - before) ** 2 for before, after in pairwise(values)]
    rise = max(values) - min(values)
    sign = math.copysign(1.0, values.index(max(values)) - values.index(min(values)))
    middle = math.sqrt(median(steps))
    if middle == 0:
        return sign * math.inf if rise else 0.0
    return sign * rise / middle


def _curve(metric: str, runs: list[tuple[ScalingPoint, TaskScore]]) -> MetricCurve:
    best = frontier([point.compute for point, _ in runs], [point.loss for point, _ in runs])
    values = [runs[place][1].value for place in best]
    kind = kind_of(metric)
    return MetricCurve(
        metric,
        kind,
        tuple(runs),
        emergence_score(values) if len(values) >= FEWEST else None,
        tuple(_unresolved(runs)) if kind == "sharp" else (),
    )


def _unresolved(runs: list[tuple[ScalingPoint, TaskScore]]) -> list[str]:
    """Where a score of 0 may be one that is only too small for the samples asked."""
    zeros = [score for _, score in runs if score.value == 0 and score.samples]
    if not zeros:
        return []
    fewest = min(score.samples for score in zeros)
    return [
        f"{len(zeros)} of {len(runs)} runs score 0 on {fewest} samples: a true value of up to {3 / fewest:.2g} would "
        "often look the same (the rule of three), so a jump from there may be a rise that was not resolved."
    ]
