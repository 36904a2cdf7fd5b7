"""A gap between two kinds of samples, compared between two models."""

from __future__ import annotations

import pytest

from evalharness.comparison.difference import difference
from evalharness.records.scores import MetricFacts, SampleScores

FACTS = MetricFacts(higher_is_better=False, aggregate="difference")


def _sample(number: int, value: float, sign: float) -> SampleScores:
    return SampleScores(
        id=str(number), content_hash="c", scores={"gap": value}, weights={"gap": sign}, cluster=str(number // 2)
    )


def _model(values: list[float]) -> list[SampleScores]:
    """Of each two values the first is of one kind, the second of the other."""
    return [_sample(number, value, -1.0 if number % 2 else 1.0) for number, value in enumerate(values)]


def test_each_side_is_the_difference_of_its_means() -> None:
    old = _model([1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1, 1])
    new = _model([1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1])
    found = difference(list(zip(old, new, strict=True)), "gap", FACTS)
    assert found is not None
    assert (found.n, found.units) == (12, 6)
    assert found.baseline == pytest.approx(5 / 6 - 2 / 6)
    assert found.candidate == pytest.approx(5 / 6 - 4 / 6)
    assert found.standard_error is not None
    assert found.standard_error > 0


def test_models_that_say_the_same_differ_in_nothing() -> None:
    old = _model([1, 0, 0, 1, 1, 1])
    found = difference(list(zip(old, old, strict=True)), "gap", FACTS)
    assert found is not None
    assert found.baseline == found.candidate
