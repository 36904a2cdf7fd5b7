"""Measured optima: budgets, each with the size of model that used it best; and the power law through them.

What approaches 1 and 2 of Hoffmann et al. 2022 (arXiv 2203.15556, 3.1 and 3.2) have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evalharness.scaling.allocation import Allocation, Optimum
from evalharness.scaling.bootstrap import Interval, interval
from evalharness.scaling.points import Floats


@dataclass(frozen=True, slots=True)
class MeasuredOptimum:
    """Of one budget."""

    compute: float
    parameters: float
    loss: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What an approach found, or why it found nothing."""

    optima: tuple[MeasuredOptimum, ...] = ()
    allocation: Allocation | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()


def power_law(computes: Floats, parameters: Floats) -> tuple[float, float]:
    """Height and exponent of ``log N* = g + a log C`` by least squares."""
    exponent, height = np.polyfit(np.log(computes), np.log(parameters), 1)
    return float(height), float(exponent)


def through(optima: Sequence[MeasuredOptimum]) -> tuple[float, float]:
    """The power law through these."""
    return power_law(np.array([one.compute for one in optima]), np.array([one.parameters for one in optima]))


def measured_allocation(
    own: tuple[float, float],
    drawn: Sequence[tuple[float, float]],
    budgets: Sequence[float],
    factor: float,
    confidence: float,
) -> Allocation:
    """The power law at budgets; without losses, which no approach of these predicts."""
    height, exponent = own
    heights_B, exponents_B = np.array(drawn, dtype=np.float64).reshape(-1, 2).T

    def at(budget: float) -> Optimum:
        log_c = float(np.log(budget))
        parameters: Floats = np.exp(heights_B + exponents_B * log_c)
        value = float(np.exp(height + exponent * log_c))
        return Optimum(
            budget,
            interval(value, parameters, confidence),
            interval(budget / factor / value, budget / factor / parameters, confidence),
            Interval(float("nan")),
        )

    return Allocation(
        interval(exponent, exponents_B, confidence),
        interval(1 - exponent, 1 - exponents_B, confidence),
        tuple(at(budget) for budget in budgets),
    )
