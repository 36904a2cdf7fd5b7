"""A fit finds the law that was planted, whatever one run does, and says how sure it is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scaling.planted import PLANTED, run, runs

from evalharness.scaling.analysis import FitOptions, FormResult, analyse
from evalharness.scaling.bootstrap import Resampling, interval, resampled
from evalharness.scaling.known import FORMS
from evalharness.scaling.points import Logs, ScalingPoint
from evalharness.scaling.robust import fit, huber


def test_hubers_loss() -> None:
    assert huber(np.array([0.5, -0.5, 1.0, 3.0, -3.0]), 1.0) == pytest.approx([0.125, 0.125, 0.5, 2.5, 2.5])


def test_chinchillas_parameters_are_found_exactly_where_there_is_no_noise() -> None:
    found = fit(FORMS["chinchilla"], Logs.of(runs()))
    assert found.parameters == pytest.approx(PLANTED, rel=1e-3)
    assert found.objective < 1e-9


def test_chinchillas_parameters_are_found_in_noise() -> None:
    found = fit(FORMS["chinchilla"], Logs.of(runs(noise=0.002, seed=1)))
    for name, off in (("E", 0.03), ("alpha", 0.02), ("beta", 0.02)):
        assert found.parameters[name] == pytest.approx(PLANTED[name], abs=off)


def test_a_run_that_went_wrong_hardly_moves_the_fit() -> None:
    """Squared errors would: the loss of one run is half as high again."""
    good = runs(noise=0.002, seed=1)
    bad = [*good[:-1], run(good[-1].parameters, good[-1].tokens, 1.5 * good[-1].loss)]
    before, after = (fit(FORMS["chinchilla"], Logs.of(points)).parameters for points in (good, bad))
    assert after["alpha"] == pytest.approx(before["alpha"], abs=0.02)
    assert after["E"] == pytest.approx(before["E"], abs=0.02)


def test_kaplans_parameters_are_found() -> None:
    n_c, d_c, alpha_n, alpha_d = 6.4e13, 1.8e13, 0.076, 0.103
    points = [
        run(n, d, ((n_c / n) ** (alpha_n / alpha_d) + d_c / d) ** alpha_d)
        for n, d in product((1e6, 1e7, 1e8), (1e8, 1e9, 1e10))
    ]
    found = fit(FORMS["kaplan"], Logs.of(points))
    assert found.parameters == pytest.approx({"N_c": n_c, "D_c": d_c, "alpha_N": alpha_n, "alpha_D": alpha_d}, rel=1e-2)


@pytest.mark.parametrize(("name", "of"), [("kaplan_N", "parameters"), ("kaplan_D", "tokens"), ("kaplan_C", "compute")])
def test_power_laws_are_found_over_the_runs_that_nothing_else_held_back(name: str, of: str) -> None:
    points = []
    for size in (1e6, 1e7, 1e8, 1e9):
        point = run(size, 20 * size, 5.0)
        points.append(run(size, 20 * size, (1e14 / getattr(point, of)) ** 0.08, f"best-{size:.0e}"))
        points.append(run(size, 20 * size, 2 + points[-1].loss, f"worse-{size:.0e}"))
    result = only(points, name)
    assert {one.name for one in result.runs} == {f"best-{size:.0e}" for size in (1e6, 1e7, 1e8, 1e9)}
    assert list(result.fitted.parameters.values()) == pytest.approx([1e14, 0.08], rel=1e-3)


def only(points: list[ScalingPoint], form: str, **more: object) -> FormResult:
    options = FitOptions(forms=(form,), resampling=Resampling(rounds=0), **more)  # type: ignore[arg-type]
    (found,) = analyse(points, options).forms
    return found


def test_a_larger_run_is_predicted_within_its_interval() -> None:
    points = runs(noise=0.003, seed=3)
    analysis = analyse(points, FitOptions(forms=("chinchilla",), hold_out=1, resampling=Resampling(rounds=60)))
    (prediction,) = analysis.forms[0].predictions
    assert prediction.point.parameters == 3e9
    assert prediction.times_largest == pytest.approx(3.0)
    assert abs(prediction.error) < 0.01
    assert prediction.loss.low is not None
    assert prediction.loss.high is not None
    assert prediction.loss.low <= prediction.point.loss <= prediction.loss.high
    assert prediction.error == pytest.approx(prediction.loss.value / prediction.point.loss - 1)


def test_the_best_use_of_a_budget_is_where_the_planted_law_is_least() -> None:
    budget = 1e21
    result = only(runs(), "chinchilla", targets=(budget,))
    sizes = np.geomspace(1e8, 1e10, 20_001)
    losses = PLANTED["E"] + PLANTED["A"] / sizes ** PLANTED["alpha"]
    losses += PLANTED["B"] / (budget / 6 / sizes) ** PLANTED["beta"]
    assert result.allocation is not None
    (best,) = (one for one in result.allocation.optima if one.compute == budget)
    assert best.parameters.value == pytest.approx(sizes[losses.argmin()], rel=5e-3)
    assert best.loss.value == pytest.approx(losses.min(), rel=1e-4)
    assert 6 * best.parameters.value * best.tokens.value == pytest.approx(budget)
    exponent = PLANTED["beta"] / (PLANTED["alpha"] + PLANTED["beta"])
    assert result.allocation.parameters_exponent.value == pytest.approx(exponent, abs=1e-3)


def test_kaplans_best_use_is_where_its_law_is_least() -> None:
    n_c, d_c, alpha_n, alpha_d, budget = 6.4e13, 1.8e13, 0.076, 0.103, 1e18

    def loss(n: float, d: float) -> float:
        return float(((n_c / n) ** (alpha_n / alpha_d) + d_c / d) ** alpha_d)

    points = [run(n, d, loss(n, d)) for n, d in product((1e6, 1e7, 1e8), (1e8, 1e9, 1e10))]
    result = only(points, "kaplan", targets=(budget,))
    sizes = np.geomspace(1e6, 1e9, 20_001)
    least = min(sizes, key=lambda size: loss(size, budget / 6 / size))
    assert result.allocation is not None
    (best,) = (one for one in result.allocation.optima if one.compute == budget)
    assert best.parameters.value == pytest.approx(least, rel=2e-2)


def test_the_same_seed_draws_the_same_intervals() -> None:
    logs = Logs.of(runs(noise=0.003, seed=3))
    fitted = fit(FORMS["kaplan_C"], logs)
    first, second = (resampled(fitted, logs, Resampling(rounds=5, seed=7)) for _ in range(2))
    assert (first == second).all()
    assert not (first == resampled(fitted, logs, Resampling(rounds=5, seed=8))).all()


def test_runs_that_differ_in_one_direction_alone_are_said_to_tell_little() -> None:
    points = [run(size, 20 * size, 2 + 400 / size**0.3) for size in (1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9)]
    options = FitOptions(forms=("kaplan_C",), resampling=Resampling(rounds=0))
    (note,) = analyse(points, options).notes
    assert "correlation of their logarithms 1.000" in note
    assert analyse(runs(), options).notes == ()


@pytest.mark.long
def test_intervals_cover_at_their_rate() -> None:
    """Of 100 simulated ladders of 36 runs; the standard error of a rate of 95 % is 2.2 % there."""
    held: dict[str, int] = dict.fromkeys(PLANTED, 0)
    trials, form = 100, FORMS["chinchilla"]
    for seed in range(trials):
        logs = Logs.of(runs(noise=0.01, seed=1000 + seed))
        fitted = fit(form, logs)
        draws = resampled(fitted, logs, Resampling(rounds=150, seed=seed))
        published = [form.published(theta, fitted.center) for theta in draws]
        for name, value in fitted.parameters.items():
            found = interval(value, np.array([one[name] for one in published]), 0.95)
            assert found.low is not None
            assert found.high is not None
            held[name] += found.low <= PLANTED[name] <= found.high
    for name, count in held.items():
        assert 0.9 <= count / trials <= 1.0, (name, count / trials)
