import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.answers.base import build_parser
from evalharness.errors import DataError
from evalharness.scoring.apply import Scorer, flags
from evalharness.scoring.base import build_metrics
from evalharness.stats.intervals import estimate
from evalharness.types import Attempt, Call, Completion, Likelihood, Prompt, Reference

PROMPT = Prompt(messages=(), text="")


def said(*texts: str, finish_reason: str = "stop") -> Attempt:
    completions = tuple(Completion(text=text, finish_reason=finish_reason) for text in texts)  # type: ignore[arg-type]
    return Attempt(calls=(Call(prompt=PROMPT, completions=completions),), candidates=texts)


def scorer(parser: object, *metrics: object) -> Scorer:
    read = build_parser(parser, "answer") if parser else None  # type: ignore[arg-type]
    return Scorer(read, build_metrics(metrics, "metrics"))  # type: ignore[arg-type]


def test_one_attempt_is_parsed_and_scored_by_every_metric() -> None:
    scored = scorer("span", "exact_match", "f1").score(said("the big cat"), Reference(target="big cat"))
    assert scored.answer is not None
    assert scored.answer.value == "the big cat"
    assert {label: score.value for label, score in scored.scores.items()} == {"exact_match": 0.0, "f1": 1.0}


def test_candidates_vote() -> None:
    scored = scorer("number", "exact_match").score(said("17", "18", "18.0", "?"), Reference(target="18"))
    assert scored.votes == {"17": 1, "18": 2}
    assert scored.scores["exact_match"].value == 1.0


def test_a_metric_may_read_by_a_parser_of_its_own() -> None:
    strict = {"parser": "lm_eval", "filters": [{"function": "regex", "regex_pattern": r"#### (\d+)"}]}
    metrics = [
        {"metric": "lm_eval_exact_match", "label": "strict", "answer": strict},
        {"metric": "exact_match", "label": "flexible", "answer": "number"},
    ]
    scored = scorer(None, *metrics).score(said("It is 18."), Reference(target="18"))
    assert {label: score.value for label, score in scored.scores.items()} == {"strict": 0.0, "flexible": 1.0}
    assert scored.answer is not None
    assert scored.answer.value is None, "without a task's parser the first metric's answer is shown"
    shown = scorer("number", *metrics).score(said("It is 18."), Reference(target="18")).answer
    assert shown is not None
    assert shown.value == "18"


def test_scored_tasks_have_no_answer() -> None:
    attempt = Attempt(calls=(), likelihoods=(Likelihood((-1.0,), (True,)), Likelihood((-2.0,), (False,))))
    scored = scorer(None, "acc", "acc_norm").score(attempt, Reference(target=0, choices=("a", "b")))
    assert scored.answer is None
    assert scored.scores["acc"].value == 1.0
    assert flags(attempt, scored) == dict.fromkeys(("unparsed", "truncated", "empty", "undecided"), False)


def test_a_metric_without_any_parser_is_refused() -> None:
    with pytest.raises(DataError, match="'exact_match' scores an answer, but nothing says how to read one"):
        scorer(None, "exact_match")


def test_a_wrong_parser_of_a_metric_is_refused_with_its_place() -> None:
    with pytest.raises(DataError, match=r"strict\.answer: unknown parser 'nmber'; did you mean 'number'\?"):
        scorer(None, {"metric": "f1", "label": "strict", "answer": "nmber"})


@pytest.mark.parametrize(
    ("attempt", "set_flags"),
    [
        (said("18"), set()),
        (said("no number"), {"unparsed"}),
        (said("so 18 and", finish_reason="length"), {"truncated"}),
        (said(" \n"), {"unparsed", "empty"}),
        (said("18", " "), {"empty"}),
        (Attempt(calls=()), {"unparsed"}),
    ],
)
def test_flags(attempt: Attempt, set_flags: set[str]) -> None:
    scored = scorer("number", "exact_match").score(attempt, Reference(target="18"))
    assert {name for name, value in flags(attempt, scored).items() if value} == set_flags


def test_a_completion_of_native_calls_is_not_empty() -> None:
    called = Completion(text="", finish_reason="stop", tool_calls=({"function": {"name": "f", "arguments": "{}"}},))
    attempt = Attempt(calls=(Call(prompt=PROMPT, completions=(called,)),), candidates=("18",))
    scored = scorer("number", "exact_match").score(attempt, Reference(target="18"))
    assert not any(flags(attempt, scored).values())


def test_flags_look_at_the_final_completions_only() -> None:
    reasoning = Call(prompt=PROMPT, completions=(Completion(text="", finish_reason="length"),))
    answer = Call(prompt=PROMPT, completions=(Completion(text="18", finish_reason="eos"),))
    attempt = Attempt(calls=(reasoning, answer), candidates=("18",))
    scored = scorer("number", "exact_match").score(attempt, Reference(target="18"))
    assert not any(flags(attempt, scored).values())


@pytest.mark.parametrize(
    ("parser", "targets"),
    [
        ("number", ["18", "1,000", "3/4", "-2.50", "$7"]),
        ("choice", ["A", "(B)", "c", "D."]),
        ("boolean", ["yes", "False", "no"]),
        ("span", ["nk", "J. K. Rowling", "U.S.", '"quoted"']),
        ("boxed", [r"\boxed{x^{2}}", r"so \boxed{\frac{1}{2}}"]),
        ("text", ["any text.", "two\nlines"]),
        ({"parser": "regex", "pattern": "[a-z]+"}, ["abc"]),
        ("lm_eval", ["as it is "]),
    ],
)
def test_gold_answers_score_one(parser: object, targets: list[str]) -> None:
    score = scorer(parser, "exact_match", "f1").score
    for target in targets:
        scored = score(said(target), Reference(target=target))
        assert {label: s.value for label, s in scored.scores.items()} == {"exact_match": 1.0, "f1": 1.0}


@given(
    st.lists(st.tuples(st.sampled_from(["18", "x", "17", "the 18 cats"]), st.sampled_from(["18", "17"])), min_size=1),
    st.integers(),
)
def test_the_order_of_samples_changes_no_aggregate(samples: list[tuple[str, str]], seed: int) -> None:
    score = scorer("text", "exact_match", "f1").score
    shuffled = random.Random(seed).sample(samples, len(samples))
    for label in ("exact_match", "f1"):
        one, other = (
            estimate([score(said(text), Reference(target=target)).scores[label].value for text, target in order])
            for order in (samples, shuffled)
        )
        assert one == other
