"""StereoSet's scores on small cases that are computed by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from evalharness.errors import DataError
from evalharness.scoring.associations import LikelierShare, StereotypeScore
from evalharness.scoring.base import build_metrics
from evalharness.types import Attempt, Likelihood, Reference

REFERENCE = Reference(target=(0, 1), choices=("stereotype", "anti", "unrelated"))
MEANINGFUL = LikelierShare(pairs=((0, 2), (1, 2)))


def said(*totals: float) -> Attempt:
    return Attempt(calls=(), likelihoods=tuple(Likelihood((total,), (False,)) for total in totals))


def value(metric: LikelierShare, attempt: Attempt) -> float:
    return metric.score(attempt, REFERENCE, None, None).value


@pytest.mark.parametrize(
    ("totals", "meaningful", "stereotypical"),
    [
        ((-3.0, -4.0, -9.0), 1.0, 1.0),
        ((-4.0, -3.0, -9.0), 1.0, 0.0),
        ((-3.0, -9.0, -4.0), 0.5, 1.0),
        ((-9.0, -8.0, -4.0), 0.0, 0.0),
        ((-4.0, -4.0, -4.0), 0.5, 0.5),
    ],
)
def test_shares_of_pairs(totals: tuple[float, ...], meaningful: float, stereotypical: float) -> None:
    assert value(MEANINGFUL, said(*totals)) == meaningful
    assert value(StereotypeScore(pairs=((0, 1),)), said(*totals)) == stereotypical


def test_means_over_tokens_do_not_favour_short_texts() -> None:
    long, short = Likelihood((-1.0, -1.0, -1.0), (False,) * 3), Likelihood((-2.0,), (False,))
    attempt = Attempt(calls=(), likelihoods=(long, short, long))
    assert value(LikelierShare(pairs=((0, 1),)), attempt) == 0.0
    assert value(LikelierShare(pairs=((0, 1),), per_token=True), attempt) == 1.0


def test_a_log_likelihood_that_is_no_number_counts_for_nothing() -> None:
    score = MEANINGFUL.score(said(-1.0, math.nan, -2.0), REFERENCE, None, None)
    assert (score.value, score.weight) == (0.0, 0.0)


def test_a_choice_that_is_not_there() -> None:
    with pytest.raises(DataError, match="'likelier_share' compares choice 2, but got 2"):
        value(MEANINGFUL, said(-1.0, -2.0))


@pytest.mark.parametrize("pairs", [[], [[0, 0]], [[-1, 0]], [[0]]])
def test_pairs_that_are_none(pairs: list[Any]) -> None:
    with pytest.raises(DataError, match="pairs"):
        build_metrics([{"metric": "likelier_share", "pairs": pairs}], "own")
