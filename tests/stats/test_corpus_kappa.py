from __future__ import annotations

import math
import random

import numpy as np
import pytest

from evalharness.stats.agreement import cohen_kappa
from evalharness.stats.corpus import corpus_estimate, corpus_kappa

LABELS = ("win", "tie", "loss")


def test_it_is_cohens_kappa_of_the_same_ratings() -> None:
    draw = random.Random(2)
    people = draw.choices(LABELS, (5, 1, 3), k=60)
    judge = [label if draw.random() < 0.6 else draw.choice(LABELS) for label in people]
    parts = np.zeros((60, 9))
    for row, said, wanted in zip(parts, judge, people, strict=True):
        row[3 * LABELS.index(said) + LABELS.index(wanted)] = 1
    expected = cohen_kappa(judge, people)
    assert float(corpus_kappa(parts.sum(0))) == pytest.approx(expected, abs=1e-12)
    found = corpus_estimate("corpus_kappa", parts.tolist(), [None] * 60, list(range(60)))
    assert found.value == pytest.approx(expected)
    assert found.low is not None
    assert found.high is not None
    assert found.low < expected < found.high


def test_one_label_alone_is_no_number() -> None:
    assert math.isnan(float(corpus_kappa(np.array([4.0, 0, 0, 0]))))
    assert float(corpus_kappa(np.array([2.0, 0, 0, 2.0]))) == 1


def test_resamples_of_one_label_alone_say_nothing() -> None:
    """Of four pairs of which one differs, every third resample or so has one label alone."""
    parts = [[1.0, 0, 0, 0]] * 3 + [[0, 0, 0, 1.0]]
    found = corpus_estimate("corpus_kappa", parts, [None] * 4, list(range(4)))
    assert found.value == 1
    assert (found.low, found.high, found.standard_error) == (1, 1, 0)
    assert corpus_estimate("corpus_kappa", parts[:2], [None] * 2, [0, 1]).low is None
