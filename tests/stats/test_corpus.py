"""Corpus metrics from sums: held against sacreBLEU on texts that we make, whole, resampled and by subsets."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.stats.corpus import CORPUS_METRICS, CorpusAggregate, corpus_estimate, corpus_sums

sacrebleu = pytest.importorskip("sacrebleu.metrics")

ORACLES: list[tuple[CorpusAggregate, Any]] = [
    ("corpus_bleu", sacrebleu.BLEU()),
    ("corpus_chrf", sacrebleu.CHRF()),
    ("corpus_chrf", sacrebleu.CHRF(word_order=2)),
    ("corpus_ter", sacrebleu.TER()),
]
PIECES = [
    "the",
    "a",
    "cat",
    "dog",
    "sat",
    "on",
    "mat",
    "ran",
    "far",
    "away",
    ",",
    ".",
    "and",
    "then",
    "home",
    "é",
    "3.5",
]
sentences = st.lists(st.sampled_from(PIECES), max_size=9).map(" ".join)
corpora = st.lists(st.tuples(sentences, sentences), min_size=1, max_size=6)


def parts_of(oracle: Any, pairs: list[tuple[str, str]]) -> list[list[float]]:
    said, right = [said for said, _ in pairs], [right for _, right in pairs]
    return [list(map(float, counts)) for counts in oracle._extract_corpus_statistics(said, [right])]


def drawn(count: int, seed: int, noise: float = 0.3) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    right = [" ".join(rng.choices(PIECES, k=rng.randint(3, 14))) for _ in range(count)]
    said = [" ".join(rng.choice(PIECES) if rng.random() < noise else word for word in text.split()) for text in right]
    return list(zip(said, right, strict=True))


@pytest.mark.parametrize(("aggregate", "oracle"), ORACLES)
@given(pairs=corpora)
@settings(max_examples=150, deadline=None)
def test_any_corpus_scores_as_sacrebleu_has_it(
    aggregate: CorpusAggregate, oracle: Any, pairs: list[tuple[str, str]]
) -> None:
    sums = np.array(parts_of(oracle, pairs)).sum(0)
    theirs = oracle.corpus_score([said for said, _ in pairs], [[right for _, right in pairs]]).score
    assert float(CORPUS_METRICS[aggregate](sums)) == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("aggregate", "oracle"), ORACLES)
def test_an_interval_holds_the_value_and_narrows_with_samples(aggregate: CorpusAggregate, oracle: Any) -> None:
    widths = []
    for count in (20, 320):
        found = corpus_estimate(aggregate, parts_of(oracle, drawn(count, 1)), [None] * count, range(count))
        assert found.method == "bca"
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2


def test_bootstrap_and_leaving_out_one_at_a_time_agree() -> None:
    """Above 2,000 samples the error is found without resamples."""
    parts = parts_of(sacrebleu.BLEU(), drawn(2_001, 2))
    many = corpus_estimate("corpus_bleu", parts, [None] * 2_001, range(2_001))
    fewer = corpus_estimate("corpus_bleu", parts[:2_000], [None] * 2_000, range(2_000))
    assert (many.method, fewer.method) == ("normal", "bca")
    assert many.standard_error == pytest.approx(fewer.standard_error, rel=0.1)


def test_subsets_are_corpora_of_their_own_whose_mean_is_taken() -> None:
    oracle, first, second = sacrebleu.BLEU(), drawn(30, 3, 0.1), drawn(10, 4, 0.6)
    apart = [oracle.corpus_score([s for s, _ in pairs], [[r for _, r in pairs]]).score for pairs in (first, second)]
    subsets: list[str | None] = ["de-en"] * 30 + ["en-de"] * 10
    found = corpus_estimate("corpus_bleu", parts_of(oracle, first + second), subsets, range(40))
    assert found.value == pytest.approx(sum(apart) / 2)
    assert found.standard_error is not None


def test_a_subset_that_a_resample_leaves_out_is_left_out_of_its_mean() -> None:
    oracle, pairs = sacrebleu.BLEU(), drawn(4, 5)
    parts_NK, metric = corpus_sums("corpus_bleu", parts_of(oracle, pairs), ["a", "a", "b", "b"])
    of_a = float(CORPUS_METRICS["corpus_bleu"](np.array(parts_of(oracle, pairs[:2])).sum(0)))
    assert float(metric(parts_NK[:2].sum(0))) == pytest.approx(of_a)


def test_one_sample_has_no_interval() -> None:
    found = corpus_estimate("corpus_ter", [[1.0, 4.0]], [None], ["a"])
    assert (found.value, found.low, found.method) == (25.0, None, "none")
