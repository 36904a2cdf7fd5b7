"""A checkpoint is bad where its interval lies below the floor, or where the paired test says worse; else it is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from runs_for_tests import write_run

from evalharness.comparison.training_gate import Judgement, TrainingGate, judge
from evalharness.errors import DataError
from evalharness.options import parse_options
from evalharness.records.scores import scores_of_run


def gate(**section: Any) -> TrainingGate:
    return parse_options(TrainingGate, section, "gate")


def judged(
    rules: TrainingGate,
    folder: Path,
    now: Sequence[float | None],
    before: Sequence[float | None] | None = None,
    *,
    step: int = 100,
    look: int = 1,
    higher_is_better: bool = True,
) -> Judgement:
    run = write_run(folder / "now", now, task="made", higher_is_better=higher_is_better)
    assert run.results is not None
    scores = {"made": scores_of_run(run)}
    baselines = {}
    if before is not None:
        baselines["made"] = scores_of_run(
            write_run(folder / "before", before, task="made", higher_is_better=higher_is_better)
        )
    return judge(rules, step, {"made": ("acc", run.results.scores["acc"])}, scores, baselines, look)


HALF = [1.0, 0.0] * 50
NINE_TENTHS = [1.0] * 90 + [0.0] * 10


@pytest.mark.parametrize(
    ("floor", "worse"), [(0.3, False), (0.5, False), (0.59, False), (0.61, True), (0.9, True)]
)  # the 95 % interval of 50 of 100 is 0.404 to 0.596
def test_the_interval_must_lie_wholly_below_the_floor(tmp_path: Path, floor: float, worse: bool) -> None:
    found = judged(gate(floor={"made": floor}), tmp_path, HALF)
    assert found.verdict == ("worse" if worse else "ok")
    assert (found.sentence(100) is not None) == worse
    if worse:
        expected = f"The gate at step 100: made: acc is 0.5, at most 0.5962, below the floor of {floor:g}."
        assert found.sentence(100) == expected


def test_no_floor_counts_before_its_time(tmp_path: Path) -> None:
    rules = gate(floor={"made": 0.9}, after=200)
    assert judged(rules, tmp_path / "early", HALF, step=199).verdict == "ok"
    assert judged(rules, tmp_path / "late", HALF, step=200).verdict == "worse"


def test_where_less_is_better_the_floor_is_a_ceiling(tmp_path: Path) -> None:
    perplexities = [30.0 + place % 3 for place in range(100)]
    assert judged(gate(floor={"made": 20}), tmp_path / "above", perplexities, higher_is_better=False).verdict == "worse"
    assert judged(gate(floor={"made": 40}), tmp_path / "below", perplexities, higher_is_better=False).verdict == "ok"


def test_a_task_that_was_not_evaluated_is_not_judged(tmp_path: Path) -> None:
    assert judged(gate(floor={"other": 0.9}), tmp_path, HALF).verdict == "ok"


def test_against_another_run(tmp_path: Path) -> None:
    rules = gate(against="previous")
    worse = judged(rules, tmp_path / "worse", HALF, NINE_TENTHS)
    assert worse.verdict == "worse"
    assert worse.reasons == (
        f"made: acc is 0.5, worse than the 0.9 of {tmp_path / 'worse/before'} on 100 shared samples",
    )
    assert judged(rules, tmp_path / "better", NINE_TENTHS, HALF).verdict == "ok"
    # Without a margin, no difference does not show that there is none; it does not stop a training either.
    assert judged(rules, tmp_path / "same", HALF, HALF).sentence(100) is None
    row = worse.row()["against"]["made"]
    assert (row["verdict"], row["gain"], row["n"]) == ("worse", pytest.approx(-0.4), 100)
    assert row["upper"] < 0


def test_the_margin_allows_a_drop(tmp_path: Path) -> None:
    slightly = [1.0] * 80 + [0.0] * 20
    for margin, verdict in ((0.0, "worse"), (0.2, "ok"), ("30%", "ok"), ("1%", "worse")):
        rules = gate(against="best", margin=margin)
        assert judged(rules, tmp_path / str(margin), slightly, NINE_TENTHS).verdict == verdict


def test_few_samples_tell_nothing(tmp_path: Path) -> None:
    few = judged(gate(against="previous"), tmp_path / "few", [0.0] * 20, [1.0] * 20)
    assert (few.verdict, few.reasons) == ("inconclusive", ())
    assert (
        judged(gate(against="previous", minimum_n=20), tmp_path / "enough", [0.0] * 20, [1.0] * 20).verdict == "worse"
    )


def test_alpha_is_spent_over_the_checkpoints(tmp_path: Path) -> None:
    slightly = [1.0] * 86 + [0.0] * 14
    for sequential, look, verdict in ((False, 30, "worse"), (True, 1, "worse"), (True, 30, "inconclusive")):
        rules = gate(against="previous", sequential=sequential)
        folder = tmp_path / f"{sequential}-{look}"
        assert judged(rules, folder, slightly, NINE_TENTHS, look=look).verdict == verdict


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({}, "give floor, against, or both"),
        ({"floor": {"made": 0.5}, "alpa": 0.1}, "did you mean 'alpha'?"),
        ({"against": "previous", "margin": "two%"}, "margin"),
        ({"against": "previous", "alpha": 1.5}, "alpha"),
    ],
)
def test_a_faulty_gate(section: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence.replace("?", r"\?")):
        gate(**section)
