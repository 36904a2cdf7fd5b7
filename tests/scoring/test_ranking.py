"""hits@k and MRR on small cases that are computed by hand, and against ranks that are drawn."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest

from evalharness.errors import DataError
from evalharness.scoring.base import build_metrics
from evalharness.scoring.ranking import HitsAtK, MeanReciprocalRank, RightChoiceRank
from evalharness.types import Attempt, Likelihood, Reference


def _value(metric: RightChoiceRank, totals: tuple[float, ...], *golds: int) -> float:
    attempt = Attempt(calls=(), likelihoods=tuple(Likelihood((total,), (False,)) for total in totals))
    reference = Reference(target=golds if len(golds) > 1 else golds[0], choices=tuple("abcdefgh"[: len(totals)]))
    return metric.score(attempt, reference, None, None).value


@pytest.mark.parametrize(
    ("totals", "golds", "hit_at_1", "hit_at_2", "reciprocal"),
    [
        ((-1.0, -2.0, -3.0), (0,), 1, 1, 1),
        ((-1.0, -2.0, -3.0), (1,), 0, 1, 1 / 2),
        ((-1.0, -2.0, -3.0), (2,), 0, 0, 1 / 3),
        ((-1.0, -1.0, -3.0), (0,), 1 / 2, 1, (1 + 1 / 2) / 2),
        ((-1.0, -1.0, -1.0), (1,), 1 / 3, 2 / 3, (1 + 1 / 2 + 1 / 3) / 3),
        ((-5.0, -2.0, -2.0), (1,), 1 / 2, 1, (1 + 1 / 2) / 2),
        ((-1.0, -2.0, -3.0), (0, 1), 1, 1, 1),
        ((-1.0, -2.0, -3.0), (0, 2), 1 / 2, 1, (1 + 1 / 2) / 2),
        ((-math.inf, -2.0), (0,), 0, 1, 1 / 2),
    ],
)
def test_by_hand(
    totals: tuple[float, ...], golds: tuple[int, ...], hit_at_1: float, hit_at_2: float, reciprocal: float
) -> None:
    assert _value(HitsAtK(), totals, *golds) == pytest.approx(hit_at_1)
    assert _value(HitsAtK(k=2), totals, *golds) == pytest.approx(hit_at_2)
    assert _value(MeanReciprocalRank(), totals, *golds) == pytest.approx(reciprocal)


def test_ties_are_worth_what_a_random_order_is() -> None:
    draw = random.Random(3)
    for _ in range(20):
        totals = tuple(float(draw.randint(-3, 0)) for _ in range(6))
        ranks = []
        for _ in range(4_000):
            order = sorted(range(6), key=lambda place: (-totals[place], draw.random()))
            ranks.append(order.index(2) + 1)
        assert _value(MeanReciprocalRank(), totals, 2) == pytest.approx(fmean(1 / rank for rank in ranks), abs=0.04)
        assert _value(HitsAtK(k=3), totals, 2) == pytest.approx(fmean(rank <= 3 for rank in ranks), abs=0.04)


def test_chance_is_that_of_a_random_order() -> None:
    reference = Reference(target=3, choices=tuple("abcdefgh"))
    assert HitsAtK(k=3).chance(reference) == 3 / 8
    assert HitsAtK(k=20).chance(reference) == 1
    assert MeanReciprocalRank().chance(reference) == pytest.approx(sum(1 / place for place in range(1, 9)) / 8)
    assert HitsAtK().chance(Reference(target=(3, 4), choices=tuple("abcdefgh"))) == pytest.approx(1 / 7)
    assert HitsAtK().chance(Reference()) is None
    assert _value(HitsAtK(k=3), (-1.0,) * 8, 3) == HitsAtK(k=3).chance(reference)


def test_means_over_tokens_do_not_favour_the_shorter_choice() -> None:
    likelihoods = (Likelihood((-1.0, -1.0), (False, False)), Likelihood((-1.5,), (False,)))
    attempt, reference = Attempt(calls=(), likelihoods=likelihoods), Reference(target=0, choices=("a b", "c"))
    values = [HitsAtK(per_token=each).score(attempt, reference, None, None).value for each in (False, True)]
    assert values == [0, 1]


def test_no_number_scores_nothing() -> None:
    attempt = Attempt(calls=(), likelihoods=(Likelihood((math.nan,), (False,)), Likelihood((-1.0,), (False,))))
    score = MeanReciprocalRank().score(attempt, Reference(target=0, choices=("a", "b")), None, None)
    assert (score.value, score.explanation) == (0.0, "the log-likelihood of a choice is not a number")


def test_a_target_that_is_no_position() -> None:
    with pytest.raises(DataError, match="needs the position of the right choice, 0 to 1, not 2"):
        _value(HitsAtK(), (-1.0, -2.0), 2)


def test_names_say_k() -> None:
    metrics = build_metrics([{"metric": "hits_at_k", "k": 3}, "hits_at_k", "mean_reciprocal_rank"], "metrics")
    assert [metric.name for metric in metrics] == ["hits@3", "hits@1", "mean_reciprocal_rank"]
