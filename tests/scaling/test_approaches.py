"""Approaches 1 and 2 find the sizes that were planted as the best, and say what they cannot know."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scaling.planted import PLANTED, chinchilla_loss, run

from evalharness.scaling.bootstrap import Resampling
from evalharness.scaling.chinchilla import Chinchilla
from evalharness.scaling.envelope import envelope
from evalharness.scaling.forms import Center
from evalharness.scaling.isoflop import isoflop, parabola
from evalharness.scaling.points import ScalingPoint

QUICK = Resampling(rounds=40)
BEST = 0.5
"""Exponent of the planted best size: N* = 0.1 C^0.5."""


def budget(compute: float, steps: tuple[float, ...] = (-0.8, -0.4, 0.0, 0.5, 0.9)) -> list[ScalingPoint]:
    best = 0.1 * compute**BEST
    return [run(best * math.exp(step), compute / 6 / (best * math.exp(step)), 3.0 + 0.1 * step**2) for step in steps]


def test_parabolas_have_their_lowest_points_where_planted() -> None:
    points = [point for compute in (1e12, 1e13, 1e14, 1e15) for point in budget(compute)]
    found = isoflop(points, [1e16], 6.0, QUICK)
    assert [one.parameters for one in found.optima] == pytest.approx([1e5, 10**5.5, 1e6, 10**6.5], rel=1e-6)
    assert found.allocation is not None
    assert found.allocation.parameters_exponent.value == pytest.approx(BEST)
    assert found.allocation.optima[0].parameters.value == pytest.approx(1e7)
    assert found.allocation.optima[0].tokens.value == pytest.approx(1e16 / 6 / 1e7)
    assert found.allocation.parameters_exponent.low == pytest.approx(BEST)
    assert "biased" in found.notes[0]


def test_a_lowest_point_outside_of_the_sizes_is_none() -> None:
    assert parabola(budget(1e12, (0.2, 0.5, 0.9))).optimum is None
    points = [*budget(1e12, (0.2, 0.5, 0.9)), *budget(1e13)]
    assert isoflop(points, [1e14], 6.0, QUICK).reason == (
        "of 2 budgets, 1 have their lowest loss between the sizes that were trained."
    )


def test_runs_of_different_operations_make_no_budget() -> None:
    points = [run(10**n, 1e9, 3.0) for n in (5, 6, 7)]
    assert isoflop(points, [1e16], 6.0, QUICK).reason == (
        "it needs two budgets or more, each spent on three sizes of model or more."
    )


def curved(parameters: float, tokens: float) -> ScalingPoint:
    """Every loss on its way is that of a training which ends there."""
    places = [float(place) for place in np.geomspace(tokens / 300, tokens, 60)]
    return ScalingPoint(
        name=f"{parameters:.0f}",
        parameters=parameters,
        tokens=tokens,
        compute=6 * parameters * tokens,
        loss=chinchilla_loss(parameters, tokens),
        curve=tuple((place, chinchilla_loss(parameters, place)) for place in places),
    )


def test_the_envelope_follows_the_best_sizes() -> None:
    sizes = [float(size) for size in np.geomspace(1e7, 1e9, 15)]
    found = envelope([curved(size, 300 * size) for size in sizes], [1e20], 6.0, QUICK)
    assert found.allocation is not None
    wanted = PLANTED["beta"] / (PLANTED["alpha"] + PLANTED["beta"])
    assert found.allocation.parameters_exponent.value == pytest.approx(wanted, abs=0.06)
    assert found.allocation.parameters_exponent.low is not None
    assert "schedule" in found.notes[0]


def test_an_envelope_needs_curves_of_four_sizes() -> None:
    reason = "it needs the training curves of four sizes of model or more."
    assert envelope([curved(size, 1e9) for size in (1e6, 1e7, 1e8)], [1e20], 6.0, QUICK).reason == reason
    assert envelope([run(size, 1e9, 3.0) for size in (1e6, 1e7, 1e8, 1e9)], [1e20], 6.0, QUICK).reason == reason


def test_published_exponents_of_the_best_use() -> None:
    """Hoffmann et al. 2022, table 2, approach 3: a = 0.46 and b = 0.54, of the unrounded values of their TeX."""
    a, b, e, alpha, beta = 6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083
    center = Center(0.0, 0.0, 0.0)
    start, exponent = Chinchilla().share(np.array([[e, a, b, alpha, beta]]), center)
    assert float(exponent[0]) == pytest.approx(0.46, abs=0.005)
    factor = (alpha * math.exp(a) / (beta * math.exp(b))) ** (1 / (alpha + beta))
    assert float(np.exp(start[0])) == pytest.approx(factor)
    published = Chinchilla().published(np.array([e, a, b, alpha, beta]), center)
    assert (round(published["A"], 1), round(published["B"], 1), round(published["E"], 2)) == (406.4, 410.7, 1.69)
