from __future__ import annotations

from typing import Any

import pytest

from evalharness.errors import DataError, UsageError
from evalharness.scoring.apply import Scored
from evalharness.scoring.judge_scores import JudgeScore
from evalharness.scoring.reducers import check_reducer, reduce, reduce_each
from evalharness.types import Attempt, Reference, Score, Verdict


def judged(*scores: float | None, judge: str = "wordlist") -> Attempt:
    details: list[dict[str, Any]] = [{} if score is None else {"score": score} for score in scores]
    verdicts = [Verdict(judge=judge, candidate=number, label="x", details=each) for number, each in enumerate(details)]
    return Attempt(calls=(), candidates=("",) * len(scores), verdicts=tuple(verdicts))


def value(attempt: Attempt, threshold: float | None = None) -> float:
    return JudgeScore(judge="wordlist", threshold=threshold).score(attempt, Reference(), None, None).value


def test_a_score_is_the_judges_and_a_threshold_counts_what_reaches_it() -> None:
    assert value(judged(0.4)) == 0.4
    assert [value(judged(score), 0.5) for score in (0.49, 0.5, 0.9)] == [0.0, 1.0, 1.0]
    assert value(judged(0.2, 0.6), 0.5) == 0.5


def test_zeros_are_not_dropped() -> None:
    assert value(judged(0.0, 1.0)) == 0.5
    assert value(judged(0.0)) == 0.0


@pytest.mark.parametrize("attempt", [judged(), judged(None), judged(0.5, None), judged(0.5, judge="classifier")])
def test_an_attempt_without_scores_is_told(attempt: Attempt) -> None:
    with pytest.raises(DataError, match="reads scores of the judge 'wordlist'"):
        value(attempt)


def repeats(*values: float) -> list[Scored]:
    return [Scored(None, scores={"a": Score(each)}) for each in values]


def test_expected_maximum_probability_and_fraction_by_hand() -> None:
    """Two prompts of four continuations each: 0.1, 0.2, 0.6, 0.0 and four zeros."""
    prompts = [(0.1, 0.2, 0.6, 0.0), (0.0,) * 4]
    maxima = [reduce("max", repeats(*scores))["a"].value for scores in prompts]
    reached = [[float(score >= 0.5) for score in scores] for scores in prompts]
    assert maxima == [0.6, 0.0]
    assert [reduce("max", repeats(*scores))["a"].value for scores in reached] == [1.0, 0.0]
    assert [reduce("mean", repeats(*scores))["a"].value for scores in reached] == [0.25, 0.0]
    assert [reduce("pass@4", repeats(*scores))["a"].value for scores in reached] == [1.0, 0.0]


def test_a_metric_that_leaves_the_sample_out_is_left_out_of_its_repeats() -> None:
    assert set(reduce_each({"a": "max", "b": "mean"}, repeats(0.1, 0.3))) == {"a"}
    check_reducer("max", 1)
    with pytest.raises(UsageError, match="unknown reducer 'min'"):
        check_reducer("min", 3)
