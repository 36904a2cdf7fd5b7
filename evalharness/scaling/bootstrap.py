"""Intervals of what a fit says, by drawing the runs again (Efron 1979)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalharness.scaling.points import Floats, Logs
from evalharness.scaling.robust import Fit, minimum

MOST_TRIES = 1_000
"""Draws for one resample that determines the parameters; where none does, there are no intervals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How intervals are made."""

    rounds: int = 1_000
    """Resamples; 0 for no intervals."""
    confidence: float = 0.95
    seed: int = 0


class Interval(NamedTuple):
    """A value between its bounds, which are None where nothing tells them."""

    value: float
    low: float | None = None
    high: float | None = None


def interval(value: float, draws_B: Floats, confidence: float) -> Interval:
    """Between the quantiles of the draws that are numbers; infinite ones count at their end."""
    known = draws_B[~np.isnan(draws_B)]
    if len(known) < 2:
        return Interval(value)
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail], method="nearest")
    return Interval(value, float(low), float(high))


def resampled(fitted: Fit, logs: Logs, how: Resampling) -> Floats:
    """Parameters fitted to runs that are drawn with replacement, [B, P], each from the best of all runs on.

    A draw that has not as many different runs as there are parameters, or too few different sizes, says nothing of the
    parameters and is drawn anew.
    """
    form, generator = fitted.form, np.random.default_rng(how.seed)
    found: list[Floats] = []
    rounds = how.rounds
    if len(logs.loss_R) <= max(len(fitted.theta_P), *(fewest for _, fewest in form.different)):
        rounds = 0  # only all runs together determine the parameters, and they would be drawn again and again
    for _ in range(rounds):
        places = next(
            (drawn for drawn in _drawn(len(logs.loss_R), generator) if _determined(fitted, logs, drawn)), None
        )
        if places is None:
            break
        again = logs.take(places)
        found.append(minimum(form, fitted.center.sizes(again), again.loss_R, fitted.theta_P))
    return np.array(found).reshape(-1, len(fitted.theta_P))


def _drawn(runs: int, generator: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    for _ in range(MOST_TRIES):
        yield generator.integers(0, runs, runs)


def _determined(fitted: Fit, logs: Logs, places: NDArray[np.intp]) -> bool:
    return len(np.unique(places)) >= len(fitted.theta_P) and all(
        len(np.unique(getattr(logs, f"{size}_R")[places])) >= fewest for size, fewest in fitted.form.different
    )
