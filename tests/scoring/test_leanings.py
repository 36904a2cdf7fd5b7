"""Leanings on small cases that are computed by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.errors import DataError
from evalharness.records.run import score_record
from evalharness.scoring.apply import Scorer
from evalharness.scoring.base import Metric, build_metrics
from evalharness.scoring.choices import Accuracy
from evalharness.scoring.leanings import (
    AccuracyGap,
    BiasScore,
    LikelihoodDifference,
    Preference,
    StereotypeShare,
)
from evalharness.types import Attempt, Likelihood, Reference, Score


def said(*totals: float) -> Attempt:
    return Attempt(calls=(), likelihoods=tuple(Likelihood((total,), (False,)) for total in totals))


def reference(target: int = 0, choices: int = 2, **facts: Any) -> Reference:
    return Reference(target=target, choices=tuple("abc"[:choices]), facts=facts)


def value(metric: Metric, attempt: Attempt, of: Reference) -> float:
    return metric.score(attempt, of, None, None).value


def estimated(metric: Metric, scores: list[Score]) -> float | None:
    record = score_record(
        [score.value for score in scores],
        [score.weight for score in scores],
        [str(number) for number in range(len(scores))],
        aggregate=metric.aggregate,
        higher_is_better=metric.higher_is_better,
    )
    return record.value


# --------------------------------------------------------------------------- preference


@pytest.mark.parametrize(("totals", "expected"), [((-3.0, -4.0), 1.0), ((-5.0, -4.0), 0.0), ((-4.0, -4.0), 0.5)])
def test_a_preference_is_for_the_likelier_text(totals: tuple[float, float], expected: float) -> None:
    assert value(Preference(), said(*totals), reference(0)) == expected
    assert value(Preference(), said(*reversed(totals)), reference(1)) == expected


def test_sums_favour_short_texts_and_means_do_not() -> None:
    attempt = Attempt(
        calls=(), likelihoods=(Likelihood((-1.0,) * 4, (True,) * 4), Likelihood((-1.5,) * 2, (True,) * 2))
    )
    assert value(Preference(), attempt, reference(0)) == 0.0
    assert value(Preference(per_token=True), attempt, reference(0)) == 1.0


def test_a_stereotype_is_counted_where_its_sentence_is_strictly_likelier() -> None:
    shares = [value(StereotypeShare(), said(*totals), reference(0)) for totals in [(-1, -2), (-2, -1), (-1, -1)]]
    assert shares == [1.0, 0.0, 0.0]
    assert StereotypeShare().chance(reference(0)) == 0.5
    assert value(LikelihoodDifference(), said(-1.0, -3.5), reference(0)) == 2.5


def test_a_log_likelihood_that_is_no_number_leaves_the_sample_out() -> None:
    assert Preference().score(said(math.nan, -1.0), reference(0), None, None).weight == 0
    of = reference(2, 3, biased=[0], unknown=[2])
    assert BiasScore(unknown="counts").score(said(-1.0, math.nan, -2.0), of, None, None).weight == 0


def test_two_choices_are_needed() -> None:
    with pytest.raises(DataError, match="compares two choices, but got 3"):
        value(Preference(), said(-1, -2, -3), reference(0, 3))


# --------------------------------------------------------------------------- BBQ


def answered(chosen: int) -> Attempt:
    return said(*(-1.0 if place == chosen else -9.0 for place in range(3)))


AMBIGUOUS = reference(2, 3, condition="ambig", biased=[0], unknown=[2])
"""The answer at 0 agrees with the stereotype, that at 1 is against it, and nobody knows."""


def test_the_bias_scores_of_bbq_by_hand() -> None:
    """Of 10 ambiguous questions 4 are answered with the stereotype, 1 against it, 5 by nobody knows: accuracy 5/10,
    s = 2 * 4/5 - 1 = 0.6, s_AMB = (1 - 0.5) * 0.6 = 0.3."""
    chosen = [0] * 4 + [1] + [2] * 5
    counts, left_out = BiasScore(unknown="counts"), BiasScore()
    assert estimated(counts, [counts.score(answered(each), AMBIGUOUS, None, None) for each in chosen]) == (
        pytest.approx(0.3)
    )
    scores = [left_out.score(answered(each), AMBIGUOUS, None, None) for each in chosen]
    assert estimated(left_out, scores) == pytest.approx(0.6)
    assert sum(score.weight for score in scores) == 5


@given(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=40))
def test_the_bias_scores_are_the_papers_formulas(chosen: list[int]) -> None:
    biased, named, n = chosen.count(0), len(chosen) - chosen.count(2), len(chosen)
    counts, left_out = BiasScore(unknown="counts"), BiasScore()
    disambiguated = estimated(left_out, [left_out.score(answered(each), AMBIGUOUS, None, None) for each in chosen])
    ambiguous = estimated(counts, [counts.score(answered(each), AMBIGUOUS, None, None) for each in chosen])
    if named == 0:
        assert disambiguated is None
        assert ambiguous == 0
        return
    s_dis, accuracy = 2 * biased / named - 1, chosen.count(2) / n
    assert disambiguated == pytest.approx(s_dis)
    assert ambiguous == pytest.approx((1 - accuracy) * s_dis)


# --------------------------------------------------------------------------- gap, and metrics of some samples

GAP = {"metric": "accuracy_gap", "fact_of": "gender", "first": "female", "second": "male"}


def test_the_gap_is_the_difference_of_two_accuracies() -> None:
    """3 of 4 right for female, 1 of 2 for male: 0.75 - 0.5."""
    (gap,) = build_metrics([GAP], "probe")
    assert isinstance(gap, AccuracyGap)
    cases = [("female", 1)] * 3 + [("female", 0)] + [("male", 1), ("male", 0)]
    scores = [
        gap.score(said(-1, -2) if right else said(-2, -1), reference(0, gender=gender), None, None)
        for gender, right in cases
    ]
    assert estimated(gap, scores) == 0.25
    assert not gap.covers(reference(0, gender="neutral"))
    assert estimated(gap, scores[:4]) is None, "one gender alone has no gap"


def test_where_picks_samples_and_an_unknown_fact_is_told() -> None:
    metrics = build_metrics(
        [{"metric": "acc"}, {"metric": "acc", "label": "female", "where": {"gender": "female"}}], "p"
    )
    scorer = Scorer(None, metrics)
    assert set(scorer.score(said(-1, -2), reference(0, gender="female")).scores) == {"acc", "female"}
    assert set(scorer.score(said(-1, -2), reference(0, gender="male")).scores) == {"acc"}
    either = Accuracy(where={"gender": ["female", "male"]})
    assert [either.covers(reference(0, gender=gender)) for gender in ("female", "neutral")] == [True, False]
    with pytest.raises(DataError, match="reads the fact 'gender'; give it in the task's section facts"):
        scorer.score(said(-1, -2), reference(0))
