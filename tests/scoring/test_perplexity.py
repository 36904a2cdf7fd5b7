import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api.metrics import bits_per_byte, perplexity, weighted_perplexity

from evalharness.errors import DataError
from evalharness.scoring.base import Metric
from evalharness.scoring.perplexity import BitsPerByte, BytePerplexity, GreedyMatch, Perplexity, WordPerplexity
from evalharness.stats.intervals import estimate
from evalharness.types import Attempt, Likelihood, Reference, Score

UNITS = {"words": 3, "bytes": 20}
totals = st.floats(-600, 0)
documents = st.lists(st.tuples(totals, st.integers(1, 500), st.integers(1, 3000)), min_size=1, max_size=20)


def attempt(*tokens: float, greedy: bool = True) -> Attempt:
    return Attempt(calls=(), likelihoods=(Likelihood(tokens, (greedy,) * len(tokens)),))


def total(metric: Metric, scores: list[Score]) -> float:
    return estimate([s.value for s in scores], [s.weight for s in scores], metric.aggregate).value


@given(st.lists(totals, min_size=1, max_size=20))
def test_perplexity_is_lm_evals(log_likelihoods: list[float]) -> None:
    scores = [Perplexity().score(attempt(ll), Reference(), None, None) for ll in log_likelihoods]
    assert total(Perplexity(), scores) == pytest.approx(perplexity(log_likelihoods), rel=1e-9)


@given(documents)
def test_document_perplexities_are_lm_evals(cases: list[tuple[float, int, int]]) -> None:
    # no more than about 600 nats a unit, as the exponential of a sample's value is bounded
    by_words = [(ll, words) for ll, words, _ in cases]
    by_bytes = [(ll, size) for ll, _, size in cases]
    for metric, expected in (
        (WordPerplexity(), weighted_perplexity(by_words)),
        (BytePerplexity(), weighted_perplexity(by_bytes)),
        (BitsPerByte(), bits_per_byte(by_bytes)),
    ):
        scores = [
            metric.score(attempt(ll), Reference(units={"words": words, "bytes": size}), None, None)
            for ll, words, size in cases
        ]
        assert total(metric, scores) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_document_is_the_sum_of_its_windows() -> None:
    windows = Attempt(calls=(), likelihoods=(Likelihood((-1.0, -2.0), (True,) * 2), Likelihood((-3.0,), (True,))))
    score = WordPerplexity().score(windows, Reference(units=UNITS), None, None)
    assert (score.value, score.weight) == (pytest.approx(math.exp(2)), 3.0)


@pytest.mark.parametrize("log_likelihood", [-math.inf, -1e9, 1e9, math.inf])
def test_values_stay_finite(log_likelihood: float) -> None:
    score = Perplexity().score(attempt(log_likelihood), Reference(), None, None)
    assert 0 < score.value < math.inf
    assert score.explanation is not None


def test_what_is_no_number_stays_none_and_is_told() -> None:
    score = Perplexity().score(attempt(math.nan), Reference(), None, None)
    assert math.isnan(score.value)
    assert score.explanation == "the log-likelihood is not a number"


def test_an_empty_document_has_no_weight() -> None:
    for metric in (WordPerplexity(), BytePerplexity(), BitsPerByte()):
        score = metric.score(attempt(), Reference(units={"words": 0, "bytes": 0}), None, None)
        assert score.weight == 0.0
        assert math.isfinite(score.value)


def test_greedy_match() -> None:
    assert GreedyMatch().score(attempt(-1.0, -2.0), Reference(), None, None).value == 1.0
    assert GreedyMatch().score(attempt(-1.0, greedy=False), Reference(), None, None).value == 0.0
    mixed = Attempt(calls=(), likelihoods=(Likelihood((-1.0, -1.0), (True, False)),))
    assert GreedyMatch().score(mixed, Reference(), None, None).value == 0.0


@pytest.mark.parametrize(
    ("metric", "what", "sentence"),
    [
        (GreedyMatch(), Attempt(calls=(), likelihoods=(Likelihood((-1.0,), ()),)), "does not say"),
        (GreedyMatch(), Attempt(calls=()), "needs the log-likelihood of one continuation, but got 0"),
        (Perplexity(), Attempt(calls=(), likelihoods=(Likelihood((), ()),) * 2), "one continuation, but got 2"),
        (WordPerplexity(), attempt(-1.0), "divides by the document's words, but the reference does not count them"),
    ],
)
def test_what_is_missing_is_named(metric: Metric, what: Attempt, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        metric.score(what, Reference(), None, None)


def test_a_document_without_likelihoods_is_an_error() -> None:
    with pytest.raises(DataError, match="log-likelihood of a document, but got none"):
        BitsPerByte().score(Attempt(calls=()), Reference(units=UNITS), None, None)
