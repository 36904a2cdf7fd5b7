from __future__ import annotations

import pytest

from evalharness.errors import DataError
from evalharness.scoring.base import build_metrics
from evalharness.scoring.wanted_verdict import WantedVerdict
from evalharness.types import Attempt, Reference, Score, Verdict


def scored(*labels: str) -> Score:
    verdicts = tuple(Verdict(judge="question", candidate=number, label=label) for number, label in enumerate(labels))
    metric = WantedVerdict(verdicts=("yes", "perhaps"))
    return metric.score(Attempt(calls=(), verdicts=verdicts), Reference(), None, None)


@pytest.mark.parametrize(("label", "value"), [("yes", 1.0), ("perhaps", 1.0), ("no", 0.0), ("unparsed", 0.0)])
def test_what_is_not_wanted_counts_as_0(label: str, value: float) -> None:
    assert scored(label).value == value
    assert scored(label).weight == 1.0


def test_a_judge_that_failed_says_nothing() -> None:
    assert scored("error").weight == 0.0
    assert scored("yes", "error", "no").value == 0.5


def test_more_is_better_and_labels_must_be_named() -> None:
    assert WantedVerdict.higher_is_better
    with pytest.raises(DataError, match="verdicts"):
        build_metrics([{"metric": "wanted_verdict", "verdicts": []}], "own.yaml: metrics")
