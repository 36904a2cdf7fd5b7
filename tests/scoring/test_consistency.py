"""SelfCheckGPT's formulas, each counted by hand, and the metrics that read what its judges found."""

from __future__ import annotations

import math

import pytest

from evalharness.errors import DataError
from evalharness.scoring.consistency import (
    contradiction,
    disagreement,
    mean_surprisal,
    sentences_of,
    surprisals,
    tokens,
    unsupported,
)
from evalharness.scoring.self_check import Discrimination, SelfCheck
from evalharness.types import Attempt, Reference, Score, Verdict

pytest.importorskip("punkt")


def test_sentences_of_every_line() -> None:
    assert sentences_of("Dr. Low came. She left.\n\n- one item\n  ") == ["Dr. Low came.", "She left.", "- one item"]
    assert sentences_of(" \n") == []


def test_tokens_are_words_and_single_marks() -> None:
    assert tokens("It's 1,5 - Zoë…") == ["it", "'", "s", "1", ",", "5", "-", "zoë", "…"]


def test_a_unigram_model_of_the_text_and_the_further_ones() -> None:
    """Text "A b. A c." and a further text "a a b": 4 a, 2 b, 1 c, 2 full stops of 9 tokens."""
    found = surprisals(["A b.", "A c."], ["a a b"])
    a, b, c, stop = (math.log(9 / count) for count in (4, 2, 1, 2))
    assert found == [[pytest.approx(a), pytest.approx(b), pytest.approx(stop)],
                     [pytest.approx(a), pytest.approx(c), pytest.approx(stop)]]  # fmt: skip
    assert mean_surprisal(found) == pytest.approx((2 * a + b + c + 2 * stop) / 6)


def test_a_text_that_the_further_ones_repeat_is_less_surprising() -> None:
    text = ["The mill burned down."]
    same, other = (surprisals(text, [sample] * 5)[0] for sample in ("The mill burned down.", "It still stands here."))
    assert max(same) < max(other)


@pytest.mark.parametrize(
    ("answers", "score"),
    [([True, True], 0.0), ([False, False], 1.0), ([True, False, None, None], 0.5), ([None], 0.5), ([True, None], 0.25)],
)
def test_no_counts_one_and_neither_one_half(answers: list[bool | None], score: float) -> None:
    assert unsupported(answers) == score


@pytest.mark.parametrize(
    ("agrees", "score"),
    [([True, False, None], 0.5), ([True, True, None], 0.0), ([False], 1.0), ([None, None], 0.5), ([], 0.5)],
)
def test_texts_without_an_answer_do_not_count(agrees: list[bool | None], score: float) -> None:
    assert disagreement(agrees) == score


def test_contradiction_is_a_share_of_two_classes() -> None:
    assert contradiction(2.0, 2.0) == 0.5
    assert contradiction(math.log(3), 0.0) == pytest.approx(0.75)
    assert contradiction(-2000.0, 0.0) == pytest.approx(0.0)
    assert contradiction(2000.0, 0.0) == 1.0


# --------------------------------------------------------------------------- metrics


def attempt(**details: float) -> Attempt:
    verdict = Verdict(judge="self_check_unigram", candidate=0, label="scored", details=details)
    return Attempt(calls=(), verdicts=(verdict,))


def reference(fact: object = True) -> Reference:
    return Reference(facts={"made_up": fact})


def test_a_number_of_the_verdict_is_the_score() -> None:
    assert SelfCheck(judge="self_check_unigram").score(attempt(score=0.25), Reference(), None, None) == Score(0.25)
    mean = SelfCheck(judge="self_check_unigram", detail="mean")
    assert mean.score(attempt(score=0.25, mean=0.5), Reference(), None, None).value == 0.5
    assert mean.score(attempt(), Reference(), None, None).weight == 0.0


def test_the_kind_of_a_sample_is_the_sign_of_its_weight() -> None:
    metric = Discrimination(judge="self_check_unigram", positive="made_up")
    assert metric.score(attempt(score=0.25), reference(True), None, None) == Score(0.25)
    assert metric.score(attempt(score=0.25), reference(False), None, None) == Score(0.25, weight=-1.0)
    assert metric.score(attempt(), reference(False), None, None).weight == 0.0
    with pytest.raises(DataError, match="must be true or false, not 'yes'"):
        metric.score(attempt(score=0.25), reference("yes"), None, None)
    with pytest.raises(DataError, match="reads verdicts of the judge"):
        metric.score(Attempt(calls=()), reference(), None, None)
