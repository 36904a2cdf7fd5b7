"""Our metrics under the `lm-eval` protocols give what lm-eval's filters, metrics and aggregations give."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parity.lm_eval_oracle import by_document, scores, shared_oracle
from parity.rows import BENCHMARKS

from evalharness.stats.intervals import estimate
from evalharness.tasks.task import Task, load_task
from evalharness.types import Attempt, Likelihood, Reference, Sample

DOCUMENTS = 6


@cache
def _theirs(name: str) -> tuple[Any, list[list[Any]]]:
    task = shared_oracle().task(BENCHMARKS[name].lm_eval, BENCHMARKS[name].splits)
    return task, by_document(task)


@cache
def _task(name: str) -> Task:
    return load_task(name, protocol="lm-eval")


@cache
def _references(name: str) -> tuple[Reference, ...]:
    subset = name.partition("/")[2] or None
    return tuple(
        _task(name).renderer.reference(Sample(id=str(n), index=n, row=row, content_hash=str(n), subset=subset))
        for n, row in enumerate(BENCHMARKS[name].rows)
    )


def _ours(name: str, attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """Values and weights of every metric, for each document."""
    scorer = _task(name).scorer
    scored = [scorer.score(attempt, ref) for attempt, ref in zip(attempts, _references(name), strict=True)]
    return [{label: (score.value, score.weight) for label, score in each.scores.items()} for each in scored]


def _assert_aggregates_agree(name: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    aggregation = _theirs(name)[0].aggregation()
    assert ours[0].keys() == theirs[0].keys()
    for metric in _task(name).metrics:
        values, weights = zip(*(scores[metric.name] for scores in ours), strict=True)
        expected = aggregation[metric.name.partition(",")[0]]([scores[metric.name] for scores in theirs])
        assert estimate(values, weights, metric.aggregate).value == pytest.approx(expected, rel=1e-9)


# --------------------------------------------------------------------------- generated texts

_ODD_OUTPUTS = (
    " 12*3 = 36\n#### 36",
    "It costs $29.00.",
    "#### 1,234.",
    "#### -7\n#### 8",
    "The answer is 36.",
    "#### 600.25.",
    "#### 5.00",
    "#### .5",
    "####5",
    "#### $5,000",
    "5,000",
    "...",
    "$",
    "-",
    "-3--7",
    "",
    " ",
    "no number",
    "#### 36 #### 5",
    "١٢٣ 36",
    "1.2.3,4",
    "36\n\nQuestion: 5",
    "[invalid]",
)


@pytest.mark.parametrize("said", _ODD_OUTPUTS)
def test_gsm8k_outputs(said: str) -> None:
    _compare_texts("gsm8k", [said] * DOCUMENTS)


def test_gsm8k_gold() -> None:
    """The gold answer scores 1, but where a space ends it: lm-eval strips what was said and not the target."""
    gold = [row["answer"] for row in BENCHMARKS["gsm8k"].rows]
    _compare_texts("gsm8k", gold)
    ours = _ours("gsm8k", [_said(text) for text in gold])
    assert [each["exact_match,strict-match"][0] for each in ours] == [float(not text.endswith(" ")) for text in gold]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text("0123456789.,$-# \nab", max_size=24), min_size=DOCUMENTS, max_size=DOCUMENTS))
def test_gsm8k_any_output(said: list[str]) -> None:
    _compare_texts("gsm8k", said)
    _compare_texts("gsm8k", [f"so it is\n#### {text}" for text in said])


CLOSED_BOOK = ("nq_open", "triviaqa")


@pytest.mark.parametrize("name", CLOSED_BOOK)
def test_every_right_answer_of_a_closed_book(name: str) -> None:
    """Spelled as the data have it, and as people may say it."""
    references = _references(name)
    for spelling in (str, str.upper, str.strip, lambda text: f" the {text}.", lambda text: f"An {text}"):
        for number in range(3):
            targets = [reference.target for reference in references]
            _compare_texts(name, [spelling(target[number % len(target)]) for target in targets])  # type: ignore


@pytest.mark.parametrize("name", CLOSED_BOOK)
@settings(max_examples=100, deadline=None)
@given(said=st.lists(st.text("aéSaturn the54.,'\" \n", max_size=16), min_size=DOCUMENTS, max_size=DOCUMENTS))
def test_any_answer_of_a_closed_book(name: str, said: list[str]) -> None:
    _compare_texts(name, said)


def _said(text: str) -> Attempt:
    return Attempt(calls=(), candidates=(text,))


def _compare_texts(name: str, said: Sequence[str]) -> None:
    task, documents = _theirs(name)
    theirs = scores(task, documents, [[text] for text in said])
    ours = _ours(name, [_said(text) for text in said])
    # A task whose filters have but one chain is named by its metric alone here.
    found = [
        {label if label in ours[0] else label.partition(",")[0]: value for label, value in each.items()}
        for each in theirs
    ]
    assert ours == [{label: (value, 1.0) for label, value in each.items()} for each in found]
    _assert_aggregates_agree(name, ours, found)


# --------------------------------------------------------------------------- choices

_LOG_LIKELIHOODS = st.floats(-400, -1e-3) | st.sampled_from([-1.0, -2.0, -4.0, -math.inf])


CHOICES = (
    "arc_challenge",
    "arc_easy",
    "boolq",
    "commonsense_qa",
    "hellaswag",
    "mmlu/astronomy",
    "openbookqa",
    "piqa",
    "social_iqa",
    "truthfulqa_mc1",
    "winogender",
    "winogrande",
)


@pytest.mark.parametrize("name", CHOICES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_choices(name: str, data: st.DataObject) -> None:
    """Ties and impossible choices included; the first of tied choices counts on both sides."""
    task, documents = _theirs(name)
    said = [data.draw(st.lists(_LOG_LIKELIHOODS, min_size=len(each), max_size=len(each))) for each in documents]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # lm-eval divides by the length of an empty choice
        theirs = scores(task, documents, [[(value, False) for value in values] for values in said])
    ours = _ours(name, [_scored([(value, False) for value in values]) for values in said])
    assert ours == [{label: (value, 1.0) for label, value in each.items()} for each in theirs]
    _assert_aggregates_agree(name, ours, theirs)


def _scored(said: Sequence[tuple[float, bool]]) -> Attempt:
    return Attempt(calls=(), likelihoods=tuple(Likelihood((value,), (greedy,)) for value, greedy in said))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_truthfulqa_mc2(data: st.DataObject) -> None:
    task, documents = _theirs("truthfulqa_mc2")
    said = [data.draw(st.lists(st.floats(-400, -1e-3), min_size=len(each), max_size=len(each))) for each in documents]
    theirs = scores(task, documents, [[(value, False) for value in values] for values in said])
    ours = _ours("truthfulqa_mc2", [_scored([(value, False) for value in values]) for values in said])
    assert [each["acc"][0] for each in ours] == pytest.approx([each["acc"] for each in theirs], abs=1e-12)
    _assert_aggregates_agree("truthfulqa_mc2", ours, theirs)


def test_truthfulqa_mc2_of_choices_too_unlikely_for_lm_eval() -> None:
    """Its ``exp`` underflows below -745, and the score is then not a number; ours is a share of what is likelier."""
    task, documents = _theirs("truthfulqa_mc2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        theirs = scores(task, documents, [[(-800.0, False)] * len(each) for each in documents])
    ours = _ours("truthfulqa_mc2", [_scored([(-800.0, False)] * len(each)) for each in documents])
    assert all(math.isnan(each["acc"]) for each in theirs)
    shares = [
        sum(row["mc2_targets"]["labels"]) / len(row["mc2_targets"]["labels"])
        for row in BENCHMARKS["truthfulqa_mc2"].rows
    ]
    assert [each["acc"][0] for each in ours] == pytest.approx(shares)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_web_questions(data: st.DataObject) -> None:
    """Right is what greedy decoding would say, whichever of the answers it is."""
    task, documents = _theirs("web_questions")
    said = [[(-1.0, data.draw(st.booleans())) for _ in each] for each in documents]
    theirs = scores(task, documents, said)
    ours = _ours("web_questions", [_scored(values) for values in said])
    assert ours == [{label: (value, 1.0) for label, value in each.items()} for each in theirs]
    _assert_aggregates_agree("web_questions", ours, theirs)


# --------------------------------------------------------------------------- texts


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.floats(-30, -1e-6), st.booleans()), min_size=1, max_size=4),
        min_size=DOCUMENTS,
        max_size=DOCUMENTS,
    )
)
def test_lambada(tokens: list[list[tuple[float, bool]]]) -> None:
    """lm-eval is told the sum and whether all tokens were the likeliest, ours every token."""
    task, documents = _theirs("lambada_openai")
    totals = [(sum(value for value, _ in each), all(greedy for _, greedy in each)) for each in tokens]
    theirs = scores(task, documents, [[total] for total in totals])
    attempts = [
        Attempt(calls=(), likelihoods=(Likelihood(tuple(v for v, _ in each), tuple(g for _, g in each)),))
        for each in tokens
    ]
    ours = _ours("lambada_openai", attempts)
    assert [each["acc"] for each in ours] == [(each["acc"], 1.0) for each in theirs]
    assert [-math.log(each["perplexity"][0]) for each in ours] == pytest.approx([total for total, _ in totals])
    _assert_aggregates_agree("lambada_openai", ours, theirs)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-400, 0), min_size=DOCUMENTS, max_size=DOCUMENTS))
def test_wikitext(log_likelihoods: list[float]) -> None:
    """By words and bytes of the page as it stood before it was detokenised."""
    log_likelihoods = [
        0.0 if not row["page"] else value
        for row, value in zip(BENCHMARKS["wikitext"].rows, log_likelihoods, strict=True)
    ]
    task, documents = _theirs("wikitext")
    theirs = scores(task, documents, [[value] for value in log_likelihoods])
    ours = _ours("wikitext", [Attempt(calls=(), likelihoods=(Likelihood((v,), (False,)),)) for v in log_likelihoods])
    for mine, other in zip(ours, theirs, strict=True):
        for label, (_, units) in other.items():
            assert mine[label][1] == units
    _assert_aggregates_agree("wikitext", ours, theirs)
