from __future__ import annotations

from evalharness.prompting.bias_filters import (
    LM_EVAL_UNKNOWN,
    bbq_biased,
    bbq_lm_eval_biased,
    bbq_lm_eval_choices,
    bbq_lm_eval_golds,
    bbq_unknown,
    coin,
)

INFO = {"ans0": ["niece", "nonOld"], "ans1": ["Not known", "unknown"], "ans2": ["aunt", "Old"]}
ANSWERS = ["The niece", "Not known", "The aunt"]


def test_the_biased_answer_turns_with_the_polarity() -> None:
    assert bbq_biased(INFO, ["old"], "neg") == [2]
    assert bbq_biased(INFO, ["old"], "nonneg") == [0]
    assert bbq_biased(INFO, ["niece"], "neg") == [0], "a group may be named by the answer itself"
    assert bbq_unknown(INFO) == [1]


def test_lm_evals_choices_put_the_named_first() -> None:
    assert bbq_lm_eval_choices(ANSWERS) == ["The niece", "The aunt", *LM_EVAL_UNKNOWN]
    assert bbq_lm_eval_golds(ANSWERS, 2) == [1]
    assert bbq_lm_eval_golds(ANSWERS, 1) == list(range(2, 12))
    assert bbq_lm_eval_biased(INFO, ANSWERS, ["old"], "neg") == [1]


def test_a_coin_falls_alike_every_time_and_is_fair() -> None:
    assert coin("a") == coin("a")
    falls = [coin(f"question {number}") for number in range(2000)]
    assert abs(sum(falls) - 1000) < 100
    assert set(falls) == {0, 1}
