"""Approach 2 of Hoffmann et al. 2022 (arXiv 2203.15556, 3.2): runs of the same operations, a parabola through each.

At each budget the loss is a parabola in log N, its lowest point the best size for the budget. Parabolas are biased even
without noise, the more the farther sizes lie from the optimum and the less evenly on its two sides (arXiv 2603.22339).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evalharness.scaling.bootstrap import Resampling
from evalharness.scaling.optima import Measured, MeasuredOptimum, measured_allocation, through
from evalharness.scaling.points import ScalingPoint

SAME = 1.1
"""Budgets that are told apart by less than this factor count as one."""
FEWEST_SIZES = 3
BIAS = (
    "parabolas are biased even without noise, the more the farther sizes lie from the optimum (arXiv 2603.22339); "
    "trust the form's fit first."
)


@dataclass(frozen=True, slots=True)
class Parabola:
    """``L = c0 + c1 x + c2 x²`` in x = log N at one budget."""

    compute: float
    coefficients: tuple[float, float, float]
    """c2, c1, c0."""
    sizes: tuple[float, float]
    """Least and greatest N."""

    def loss(self, parameters: float) -> float:
        return float(np.polyval(self.coefficients, math.log(parameters)))

    @property
    def optimum(self) -> MeasuredOptimum | None:
        """None where it opens downwards or is lowest outside of the sizes that were trained."""
        curvature, slope, _ = self.coefficients
        if curvature <= 0:
            return None
        lowest = -slope / (2 * curvature)
        if not math.log(self.sizes[0]) <= lowest <= math.log(self.sizes[1]):
            return None
        return MeasuredOptimum(self.compute, math.exp(lowest), self.loss(math.exp(lowest)))


def budgets_of(points: Sequence[ScalingPoint]) -> list[list[ScalingPoint]]:
    """Runs by budget, those with `FEWEST_SIZES` different sizes or more."""
    groups: list[list[ScalingPoint]] = []
    for point in sorted(points, key=lambda point: point.compute):
        if groups and point.compute <= SAME * groups[-1][0].compute:
            groups[-1].append(point)
        else:
            groups.append([point])
    return [group for group in groups if len({point.parameters for point in group}) >= FEWEST_SIZES]


def parabola(group: Sequence[ScalingPoint]) -> Parabola:
    """By least squares."""
    sizes = [point.parameters for point in group]
    compute = math.exp(np.mean([math.log(point.compute) for point in group]))
    found = np.polyfit(np.log(sizes), [point.loss for point in group], 2)
    return Parabola(compute, (float(found[0]), float(found[1]), float(found[2])), (min(sizes), max(sizes)))


def isoflop(points: Sequence[ScalingPoint], budgets: Sequence[float], factor: float, how: Resampling) -> Measured:
    """The power law through the parabolas' lowest points, with intervals by drawing the runs of each budget again."""
    groups = budgets_of(points)
    if len(groups) < 2:
        return Measured(reason="it needs two budgets or more, each spent on three sizes of model or more.")
    optima = [optimum for group in groups if (optimum := parabola(group).optimum)]
    if len(optima) < 2:
        reason = f"of {len(groups)} budgets, {len(optima)} have their lowest loss between the sizes that were trained."
        return Measured(tuple(optima), reason=reason)
    notes = [BIAS]
    if len(optima) < len(groups):
        notes.append(f"{len(groups) - len(optima)} of {len(groups)} budgets have no lowest point between their sizes.")
    if not (drawn := _drawn(groups, how)):
        notes.append("no intervals: of three sizes a budget none can be left out.")
    return Measured(
        tuple(optima),
        measured_allocation(through(optima), drawn, budgets, factor, how.confidence),
        notes=tuple(notes),
    )


def _drawn(groups: Sequence[Sequence[ScalingPoint]], how: Resampling) -> list[tuple[float, float]]:
    generator = np.random.default_rng(how.seed)
    if all(len(group) <= FEWEST_SIZES for group in groups):
        return []
    found = []
    for _ in range(how.rounds):
        again = [[group[place] for place in generator.integers(0, len(group), len(group))] for group in groups]
        fitting = [group for group in again if len({point.parameters for point in group}) >= FEWEST_SIZES]
        optima = [optimum for group in fitting if (optimum := parabola(group).optimum)]
        if len({one.compute for one in optima}) >= 2:
            found.append(through(optima))
    return found
