"""Approach 1 of Hoffmann et al. 2022 (arXiv 2203.15556, 3.1): the lower envelope of training curves.

At each of 1,500 budgets, the run whose loss is lowest there; then a power law through the sizes of these runs. Budgets
that the smallest or the largest size wins are left out, since a size beyond it might be better still: with them the
power law is too flat.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evalharness.scaling.bootstrap import Resampling
from evalharness.scaling.optima import Measured, MeasuredOptimum, measured_allocation, power_law
from evalharness.scaling.points import Floats, ScalingPoint

Places = NDArray[np.intp]
BUDGETS = 1_500
FEWEST_SIZES, FEWEST_WINNERS = 4, 2
SCHEDULE = (
    "a loss before a training's end is above what a schedule that ends there would reach, so this favours small models "
    "unless the rate is constant."
)


def envelope(points: Sequence[ScalingPoint], budgets: Sequence[float], factor: float, how: Resampling) -> Measured:
    """The power law, with intervals by drawing the runs again."""
    curved = [point for point in points if len(point.curve) >= 2]
    if len({point.parameters for point in curved}) < FEWEST_SIZES:
        return Measured(reason="it needs the training curves of four sizes of model or more.")
    computes, losses_RC = _curves(curved)
    sizes_R = np.array([point.parameters for point in curved])
    best, run = _best(sizes_R, losses_RC, np.arange(len(curved)))
    if len(np.unique(sizes_R[run])) < FEWEST_WINNERS:
        reason = "of the sizes between the smallest and the largest, fewer than two are the best for any budget."
        return Measured(reason=reason)
    generator = np.random.default_rng(how.seed)
    drawn = []
    for _ in range(how.rounds):
        places, again = _best(sizes_R, losses_RC, np.unique(generator.integers(0, len(curved), len(curved))))
        if len(np.unique(sizes_R[again])) >= FEWEST_WINNERS:
            drawn.append(power_law(computes[places], sizes_R[again]))
    own = power_law(computes[best], sizes_R[run])
    optima = [
        MeasuredOptimum(float(computes[place]), float(sizes_R[one]), float(losses_RC[one, place]))
        for place, one in zip(best, run, strict=True)
    ]
    return Measured(tuple(optima), measured_allocation(own, drawn, budgets, factor, how.confidence), notes=(SCHEDULE,))


def compute_curve(point: ScalingPoint) -> list[tuple[float, float]]:
    """Operations so far and loss."""
    per_token = point.compute / point.tokens
    return [(per_token * tokens, loss) for tokens, loss in point.curve if tokens > 0 and math.isfinite(loss)]


def _curves(points: Sequence[ScalingPoint]) -> tuple[Floats, Floats]:
    """Budgets, and the loss of each run there, not a number where its curve is not."""
    curves = [np.array(compute_curve(point)).T for point in points]
    low, high = min(curve[0][0] for curve in curves), max(curve[0][-1] for curve in curves)
    computes = np.geomspace(low, high, BUDGETS)
    losses = [np.interp(np.log(computes), np.log(curve[0]), curve[1], left=np.nan, right=np.nan) for curve in curves]
    return computes, np.array(losses)


def _best(sizes_R: Floats, losses_RC: Floats, runs: Places) -> tuple[Places, Places]:
    """Budgets, and the best of these runs at each, where that is neither of the smallest size nor of the largest."""
    losses, sizes = losses_RC[runs], sizes_R[runs]
    known = np.flatnonzero(np.isfinite(losses).any(axis=0))
    best = np.where(np.isfinite(losses), losses, np.inf)[:, known].argmin(axis=0)
    between = (sizes[best] > sizes.min()) & (sizes[best] < sizes.max())
    return known[between], runs[best[between]]
