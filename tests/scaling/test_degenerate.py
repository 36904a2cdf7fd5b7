"""What no law can be fitted to is one sentence that says what is wrong and what would be right."""

from __future__ import annotations

import math

import pytest
from scaling.planted import run, runs

from evalharness.errors import DataError, UsageError
from evalharness.scaling.analysis import FitOptions, analyse
from evalharness.scaling.bootstrap import Resampling

QUICK = Resampling(rounds=0)


def test_two_runs_are_too_few() -> None:
    with pytest.raises(DataError, match=r"2 runs do not determine the 5 parameters of L = E .* 6 or more are needed\."):
        analyse(runs()[:2], FitOptions(resampling=QUICK))


def test_sizes_that_are_all_the_same_leave_out_what_needs_different_ones() -> None:
    points = runs(sizes=(1e8,))
    with pytest.raises(DataError, match=r"the runs have 1 different numbers of parameters; .* needs 3 or more\."):
        analyse(points, FitOptions(forms=("chinchilla",), resampling=QUICK))
    found = analyse(points, FitOptions(resampling=QUICK))
    assert [result.form.name for result in found.forms] == ["kaplan_D", "kaplan_C"]
    assert set(found.left_out) == {"chinchilla", "kaplan", "kaplan_N"}
    assert found.envelope.reason
    assert found.isoflop.reason


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_run_that_diverged(loss: float) -> None:
    with pytest.raises(DataError, match=r"1e\+07-1e\+09: its loss is (nan|inf): the training diverged; leave it out\."):
        run(1e7, 1e9, loss)


def test_no_parameters() -> None:
    with pytest.raises(DataError, match=r"parameters is 0; it must be a number above 0"):
        run(0, 1e9, 3.0)


def test_all_runs_held_out() -> None:
    with pytest.raises(UsageError, match=r"--hold-out 36: there are 36 runs; leave some to fit\."):
        analyse(runs(), FitOptions(hold_out=36, resampling=QUICK))


def test_as_many_runs_as_tell_the_parameters_give_no_intervals() -> None:
    points = [run(size, 20 * size, (1e14 / size) ** 0.1) for size in (1e6, 1e7, 1e8)]
    (result,) = analyse(points, FitOptions(forms=("kaplan_N",), resampling=Resampling(rounds=10))).forms
    assert all(interval.low is None for interval in result.parameters.values())
    assert "no intervals: of 3 runs none can be left out." in result.notes


def test_what_runs_do_not_determine_is_said() -> None:
    """The loss does not depend on the tokens at all."""
    points = [run(n, d, 2 + 400 / n**0.3) for n in (1e6, 1e7, 1e8, 1e9) for d in (1e9, 1e10, 1e11)]
    (result,) = analyse(points, FitOptions(forms=("chinchilla",), resampling=QUICK)).forms
    assert any("these runs do not determine it" in note for note in result.notes) or result.parameters["B"].value < 1e-3
