"""Verdicts of the gate: each kind once, the margin's two units, Holm's steps against bounds, and what is broken."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from runs_for_tests import write_run

from evalharness.comparison.gate import GateResult, check, holm_levels
from evalharness.comparison.gate_options import Gate
from evalharness.records.scores import Scores, scores_of_run
from evalharness.stats.multiplicity import holm

N = 400


def gate_of(**changes: object) -> Gate:
    values = {"gate": "own", "tasks": [{"task": "made_up", "margin": 0.03}], **changes}
    return Gate.model_validate(values)


def flipped(base: list[float], down: int, up: int = 0) -> list[float]:
    """`down` ones become zeros, `up` zeros become ones."""
    new = list(base)
    ones = [place for place, value in enumerate(base) if value == 1]
    zeros = [place for place, value in enumerate(base) if value == 0]
    for place in ones[:down]:
        new[place] = 0.0
    for place in zeros[:up]:
        new[place] = 1.0
    return new


@pytest.fixture
def base() -> list[float]:
    return [float(value) for value in np.random.default_rng(0).integers(0, 2, N)]


def judged(tmp_path: Path, base: list[float | None], new: list[float | None], gate: Gate | None = None,
           **changes: object) -> GateResult:  # fmt: skip
    old = scores_of_run(write_run(tmp_path / "old", base))
    candidate = scores_of_run(write_run(tmp_path / "new", new, **changes))  # type: ignore[arg-type]
    return check(gate or gate_of(), {"made_up": old}, {"made_up": candidate})


@pytest.mark.parametrize(
    ("down", "up", "verdict", "code"),
    [(0, 0, "ok", 0), (2, 2, "ok", 0), (14, 0, "inconclusive", 0), (60, 5, "worse", 1), (0, 60, "ok", 0)],
)
def test_verdicts(tmp_path: Path, base: list[float], down: int, up: int, verdict: str, code: int) -> None:
    result = judged(tmp_path, base, flipped(base, down, up))
    assert result.verdict == verdict
    assert result.exit_code() == code
    assert result.exit_code(strict=True) == (2 if verdict == "inconclusive" else code)


def test_a_metric_where_lower_is_better(tmp_path: Path) -> None:
    values = [float(value) for value in np.random.default_rng(1).normal(5, 1, N)]
    gate = gate_of(tasks=[{"task": "made_up", "margin": "2%"}])
    old = scores_of_run(write_run(tmp_path / "old", values, higher_is_better=False))
    for shift, verdict in ((0.0, "ok"), (-1.0, "ok"), (1.0, "worse")):
        new = write_run(tmp_path / f"{shift}", [value + shift for value in values], higher_is_better=False)
        result = check(gate, {"made_up": old}, {"made_up": scores_of_run(new)})
        assert result.verdict == verdict
        assert result.verdicts[0].margin == pytest.approx(0.02 * np.mean(values))


def test_perplexities_are_judged_as_a_corpus(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    words = [float(count) for count in random.integers(200, 2000, 60)]
    logs = random.normal(3, 0.3, 60)
    gate = gate_of(minimum_n=20, tasks=[{"task": "made_up", "metric": "word_perplexity", "margin": "1%"}])

    def run(name: str, shift: float) -> Scores:
        values = {"word_perplexity": [math.exp(value) for value in logs + shift + random.normal(0, 0.002, 60)]}
        return scores_of_run(
            write_run(
                tmp_path / name, values, weights={"word_perplexity": words}, higher_is_better=False,
                aggregate="geometric_mean",
            )
        )  # fmt: skip

    old = run("old", 0.0)
    assert check(gate, {"made_up": old}, {"made_up": run("same", 0.0)}).verdict == "ok"
    worse = check(gate, {"made_up": old}, {"made_up": run("worse", 0.05)}).verdicts[0]
    assert worse.verdict == "worse"
    assert worse.difference
    assert worse.difference.test == "approximate randomisation"
    assert worse.difference.candidate / worse.difference.baseline == pytest.approx(math.exp(0.05), rel=2e-3)


def test_failures_are_broken_and_emptiness_does_not_compare(tmp_path: Path, base: list[float]) -> None:
    assert judged(tmp_path / "all", base, [None] * N).exit_code() == 4
    assert judged(tmp_path / "half", base, [None if place % 2 else base[place] for place in range(N)]).exit_code() == 4
    assert judged(tmp_path / "nan", base, [math.nan] * N).exit_code() == 4
    assert judged(tmp_path / "unfinished", base, base[: N // 2], asked=N).exit_code() == 4
    assert judged(tmp_path / "few", base, [None, *base[1:]]).exit_code() == 0
    empty = judged(tmp_path / "empty", base, [])
    assert (empty.exit_code(), empty.verdict) == (3, "not comparable")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": "f" * 64}, "hash of the protocol"),
        ({"version": 2}, "versions are 1 and 2"),
        ({"contents": ["a" * 64] * N}, "another content hash"),
        ({"ids": [f"other {place}" for place in range(N)]}, "share no sample"),
    ],
)
def test_what_does_not_compare(tmp_path: Path, base: list[float], changes: dict[str, object], said: str) -> None:
    result = judged(tmp_path, base, base, **changes)
    assert result.exit_code() == 3
    assert said in result.verdicts[0].reason


def test_a_task_without_a_run_does_not_compare(tmp_path: Path, base: list[float]) -> None:
    old = scores_of_run(write_run(tmp_path / "old", base))
    assert check(gate_of(), {"made_up": old}, {}).exit_code() == 3
    assert check(gate_of(), {}, {"made_up": old}).exit_code() == 3


def test_too_few_samples_are_inconclusive(tmp_path: Path) -> None:
    result = judged(tmp_path, [1.0] * 50, [0.0] * 50)
    assert result.verdict == "inconclusive"
    assert "the gate asks for 100" in result.verdicts[0].reason


def test_a_regression_counts_whatever_became_of_the_other_tasks(tmp_path: Path, base: list[float]) -> None:
    old = scores_of_run(write_run(tmp_path / "old", base))
    new = scores_of_run(write_run(tmp_path / "new", flipped(base, 80)))
    gate = gate_of(tasks=[{"task": "other", "margin": 0.1}, {"task": "made_up", "margin": 0.03}])
    assert check(gate, {"made_up": old}, {"made_up": new}).exit_code() == 1


def test_holms_levels_reject_what_holms_p_values_do() -> None:
    random = np.random.default_rng(3)
    for _ in range(300):
        p_values = list(random.uniform(0, 0.08, random.integers(1, 9)))
        levels = holm_levels([(p, 0.05) for p in p_values])
        assert [p < level for p, level in zip(p_values, levels, strict=True)] == [p < 0.05 for p in holm(p_values)]


def test_looks_spend_alpha(tmp_path: Path, base: list[float]) -> None:
    old = {"made_up": scores_of_run(write_run(tmp_path / "old", base))}
    new = {"made_up": scores_of_run(write_run(tmp_path / "new", flipped(base, 20)))}
    assert check(gate_of(), old, new).verdict == "worse"
    later = check(gate_of(), old, new, look=20)
    assert later.verdict == "inconclusive"
    assert later.alpha == pytest.approx(0.05 / 420)
