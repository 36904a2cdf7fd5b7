import math

import numpy as np
import pytest

from evalharness.errors import UsageError
from evalharness.stats.power import (
    minimum_detectable_difference,
    needed_samples,
    non_inferiority_power,
    variance_parts,
)


def test_the_variance_is_split_as_it_was_drawn():
    random = np.random.default_rng(0)
    truths = random.normal(0.5, 0.3, 3000)
    repeats = truths[:, None] + random.normal(0, 0.6, (3000, 4))
    found = variance_parts(repeats.tolist())
    assert found.between == pytest.approx(0.09, rel=0.1)
    assert found.within == pytest.approx(0.36, rel=0.05)
    assert found.standard_error == pytest.approx(repeats.mean(1).std(ddof=1) / math.sqrt(3000), rel=1e-9)
    assert found.share_of_repeats == pytest.approx(0.5, abs=0.05)


def test_repeats_that_agree_leave_only_samples():
    found = variance_parts([[1, 1], [0, 0], [1, 1]])
    assert (found.within, found.between) == (0, pytest.approx(1 / 3))
    assert found.share_of_repeats == 0


def test_samples_and_difference_belong_together():
    power = pytest.importorskip("statsmodels.stats.power")
    n = needed_samples(0.03, 0.4)
    assert minimum_detectable_difference(0.4 / math.sqrt(n)) == pytest.approx(0.03, rel=1e-3)
    theirs = power.NormalIndPower(ddof=0).solve_power(0.03 / 0.4, alpha=0.05, power=0.8, ratio=0)
    assert n == math.ceil(theirs)


def test_at_the_margin_the_gate_errs_with_alpha():
    assert non_inferiority_power(0.02, 0.02, 0.01, alpha=0.05) == pytest.approx(0.05)
    assert non_inferiority_power(0.0, 0.02, 0.0) == 1
    power = pytest.importorskip("statsmodels.stats.power")
    theirs = power.NormalIndPower(ddof=0).power(2.5, 1, 0.05, ratio=0, alternative="larger")
    assert non_inferiority_power(0.0, 0.025, 0.01) == pytest.approx(theirs)


def test_the_power_is_what_simulation_finds():
    random = np.random.default_rng(1)
    error = 0.8 / math.sqrt(200)
    differences = random.normal(0, 0.8, (20_000, 200)).mean(1)
    shown = np.mean(differences - 1.6448536 * error > -0.15)
    assert shown == pytest.approx(non_inferiority_power(0.0, 0.15, error), abs=0.01)


@pytest.mark.parametrize("call", [lambda: needed_samples(0, 1), lambda: variance_parts([[1, 2]])])
def test_what_cannot_be_planned_is_refused(call):
    with pytest.raises(UsageError):
        call()
