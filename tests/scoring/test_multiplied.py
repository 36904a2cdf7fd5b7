"""A metric over multiplied references is the metric itself, over more of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.answers.text import TextParser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, build_metrics
from evalharness.scoring.match import F1
from evalharness.types import Attempt, Reference, Score, Verdict

TEXTS = st.lists(st.sampled_from(["lake", "ice", "froze", "skater", "cold"]), min_size=1, max_size=5).map(" ".join)


def _metric(**options: Any) -> Metric:
    (metric,) = build_metrics([{"metric": "multiplied_references", "of": "f1", **options}], "metrics")
    return metric


def _score(metric: Metric, answer: str, target: Any, *paraphrases: str, label: str = "paraphrased") -> Score:
    details = {"paraphrases": list(paraphrases)}
    verdict = Verdict(judge="paraphrase", candidate=0, label=label, explanation="why", details=details)
    attempt = Attempt(calls=(), candidates=(answer,), verdicts=(verdict,))
    parser = TextParser()
    return metric.score(attempt, Reference(target=target), parser.parse(answer), parser)


@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=4))
def test_it_is_the_metric_over_all_of_them_and_never_less(answer: str, target: str, paraphrases: list[str]) -> None:
    parser = TextParser()
    attempt = Attempt(calls=(), candidates=(answer,))
    parsed = parser.parse(answer)
    alone = F1().score(attempt, Reference(target=target), parsed, parser).value
    together = F1().score(attempt, Reference(target=(target, *paraphrases)), parsed, parser).value
    assert _score(_metric(), answer, target, *paraphrases).value == together >= alone
    assert _score(_metric(gain=True), answer, target, *paraphrases).value == together - alone


def test_what_the_judge_did_not_bring_adds_nothing_and_its_failure_is_left_out() -> None:
    assert _score(_metric(gain=True), "ice", "ice cold", label="unparsed").value == 0
    failed = _score(_metric(), "ice", "ice cold", label="error")
    assert (failed.weight, failed.explanation) == (0.0, "the judge failed: why")


def test_an_attempt_without_paraphrases_is_refused() -> None:
    with pytest.raises(DataError, match="reads verdicts of the judge 'paraphrase', and the attempt has none"):
        _metric().score(Attempt(calls=(), candidates=("ice",)), Reference(target="ice"), None, None)


@pytest.mark.parametrize("of", ["bleu", "acc", "perplexity"])
def test_a_metric_that_is_no_mean_over_answers(of: str) -> None:
    with pytest.raises(DataError, match=f"of: {of} is no mean over answers"):
        _metric(of=of)
