"""An area under the ROC curve, compared between two models."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs_for_tests import write_run

from evalharness.comparison.difference import difference
from evalharness.leaderboards.gaps import gaps
from evalharness.records.scores import MetricFacts, SampleScores, scores_of_run

FACTS = MetricFacts(higher_is_better=True, aggregate="auroc")


def _model(values: list[float]) -> list[SampleScores]:
    """Of each two values the first is of a sample that should score high, the second of one that should score low."""
    return [
        SampleScores(
            id=str(number), content_hash="c", scores={"auroc": value}, weights={"auroc": -1.0} if number % 2 else {}
        )
        for number, value in enumerate(values)
    ]


OLD = _model([0.5, 0.4, 0.2, 0.3, 0.9, 0.6])
NEW = _model([0.8, 0.4, 0.2, 0.1, 0.9, 0.7])


def test_the_areas_and_who_gained() -> None:
    """Highs .5 .2 .9 against lows .4 .3 .6: 2 + 0 + 3 of 9 pairs; then highs .8 .2 .9, lows .4 .1 .7: 3 + 1 + 3."""
    found = difference(list(zip(OLD, NEW, strict=True)), "auroc", FACTS)
    assert found is not None
    assert found.baseline == pytest.approx(5 / 9)
    assert found.candidate == pytest.approx(7 / 9)
    assert (found.test, found.n) == ("DeLong", 6)
    assert found.better == ("0", "3"), "a sample that should score low gains by a lower score"
    assert found.worse == ("5",)
    assert found.p_value is not None


def test_a_leaderboard_has_the_same_gap(tmp_path: Path) -> None:
    scores = {
        name: scores_of_run(
            write_run(
                tmp_path / name,
                {"auroc": [sample.scores["auroc"] for sample in model]},
                weights={"auroc": [sample.weights.get("auroc", 1.0) for sample in model]},
                aggregate="auroc",
            )
        )
        for name, model in (("new", NEW), ("old", OLD))
    }
    (gap,) = gaps(scores, "auroc", FACTS)
    compared = difference(list(zip(OLD, NEW, strict=True)), "auroc", FACTS)
    assert compared is not None
    assert gap.value == pytest.approx(compared.value)
    assert gap.p_value == pytest.approx(compared.p_value)
