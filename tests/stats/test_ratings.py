import math

import numpy as np
import pytest

from evalharness.errors import UsageError
from evalharness.stats.ratings import ELO_SCALE, bradley_terry, wins_of


@pytest.mark.parametrize("seed", range(4))
def test_strengths_are_those_of_choix(seed):
    choix = pytest.importorskip("choix")
    random = np.random.default_rng(seed)
    strengths = random.normal(0, 1, 6)
    games = []
    for _ in range(600):
        first, second = random.choice(6, 2, replace=False)
        wins = random.random() < 1 / (1 + math.exp(strengths[second] - strengths[first]))
        games.append((int(first), int(second), float(wins)))
    found = bradley_terry(wins_of(games))
    pairs = [(first, second) if score else (second, first) for first, second, score in games]
    expected = choix.opt_pairwise(6, pairs, tol=1e-12)
    values = [found[system].value for system in range(6)]
    assert values == pytest.approx(list(expected - expected.mean()), abs=1e-6)
    assert all(0.05 < found[system].standard_error < 0.5 for system in range(6))


def test_two_systems_differ_by_the_log_odds_of_their_wins():
    found = bradley_terry({("a", "b"): 30.0, ("b", "a"): 10.0})
    assert found["a"].value - found["b"].value == pytest.approx(math.log(3))
    assert (found["a"].value - found["b"].value) * ELO_SCALE == pytest.approx(190.85, abs=0.01)
    # The difference has the error of a log-odds, of which each side has half.
    assert 2 * found["a"].standard_error == pytest.approx(math.sqrt(1 / 30 + 1 / 10))


def test_a_tie_is_half_a_win_for_each():
    assert bradley_terry(wins_of([("a", "b", 0.5)] * 4))["a"].value == pytest.approx(0)


def test_who_never_lost_needs_a_prior():
    with pytest.raises(UsageError, match="prior"):
        bradley_terry({("a", "b"): 3})
    assert 0 < bradley_terry({("a", "b"): 3}, prior=1)["a"].value < 5


@pytest.mark.parametrize("wins", [{}, {("a", "a"): 1}, {("a", "b"): -1}])
def test_what_is_no_game_is_refused(wins):
    with pytest.raises(UsageError):
        bradley_terry(wins)
