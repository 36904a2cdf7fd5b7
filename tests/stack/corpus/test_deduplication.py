"""Copies are found, and what is no copy stays: measured on planted texts (must-show 5 of the stack)."""

from __future__ import annotations

import numpy as np
import pytest
from stack.corpus.built import Make, outcomes
from stack.corpus.planted import copies, jaccard, vocabulary

from evalharness.stack.corpus.deduplication import signature
from evalharness.stack.corpus.options import NearOptions
from evalharness.stack.corpus.words import word_hashes

THRESHOLD, MARGIN = 0.8, 0.1
"""Four standard errors of the estimate: closer to the threshold than this, either answer is right."""


def test_planted_copies_are_found_and_near_misses_stay(make: Make) -> None:
    planted = copies(seed=7)
    names = list(planted.texts)
    corpus = make(planted.texts.values(), deduplication={"near": {"threshold": THRESHOLD}})
    said = dict(zip(names, outcomes(corpus), strict=True))
    exact = {name for name, line in said.items() if line["outcome"] == "exact copy"}
    near = {name for name, line in said.items() if line["outcome"] == "near copy"}
    assert exact == planted.exact  # precision and recall 1

    alike = {name for name, value in planted.similarity.items() if value >= THRESHOLD + MARGIN}
    unlike = {name for name, value in planted.similarity.items() if value <= THRESHOLD - MARGIN}
    assert len(alike) >= 50
    assert len(unlike) >= 50
    found = near & (alike | unlike | {name for name in names if name.startswith("original")})
    precision, recall = len(found & alike) / len(found), len(found & alike) / len(alike)
    assert precision >= 0.99
    assert recall >= 0.99
    # And each is told to be a copy of what it was made of.
    for name in near & alike:
        assert said[name]["of"] == f"texts.jsonl:{names.index('original-' + name.split('-')[1]) + 1}"


def test_without_near_copies_only_the_same_text_goes(make: Make) -> None:
    corpus = make(["one two three", "one two  three", " one two three\n", "One two three"])
    assert [line["outcome"] for line in outcomes(corpus)] == ["kept", "kept", "exact copy", "kept"]


def test_copies_may_stay(make: Make) -> None:
    corpus = make(["one two", "one two"], deduplication={"exact": False})
    assert [line["outcome"] for line in outcomes(corpus)] == ["kept", "kept"]


def test_texts_without_words_are_no_near_copies_of_one_another(make: Make) -> None:
    corpus = make(["!!! ???", "--- ...", "!!! ???"], deduplication={"near": {}})
    assert [line["outcome"] for line in outcomes(corpus)] == ["kept", "kept", "exact copy"]


@pytest.mark.parametrize("words", [1, 3, 5, 6, 5000])
def test_a_signature_estimates_the_similarity_of_sets(words: int) -> None:
    known = vocabulary(3)
    one = [known[place % len(known)] for place in range(words)]
    other = [*one[: max(1, words * 3 // 4)], *reversed(known[: words - max(1, words * 3 // 4)])]
    options = NearOptions(permutations=1024, shingle=min(5, words))
    ours, theirs = (signature(word_hashes(" ".join(each)), options) for each in (one, other))
    assert ours is not None
    assert theirs is not None
    expected = jaccard(one, other) if words >= 5 else float(one == other) or None
    if expected is not None:
        assert abs(float(np.mean(ours == theirs)) - expected) < 0.07  # over 4 standard errors
