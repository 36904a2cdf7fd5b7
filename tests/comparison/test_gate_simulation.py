"""How often the gate is wrong, by simulation: pairs of run folders with a known true drop, judged as `check` does.

A pair: n samples that the baseline gets right with chance 0.5; of all samples a share `down` turns wrong and a share
`up` turns right, so the true drop is ``down - up``. The margin is 3 points. Figures of these runs are in
docs/statistics.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from e2e.command import CLONE, environment
from runs_for_tests import write_run

from evalharness.cli.check import by_task
from evalharness.comparison.gate import check
from evalharness.comparison.gate_options import Gate, load_gate
from evalharness.records.scores import MetricFacts, SampleScores, Scores
from evalharness.stats.power import non_inferiority_power

MARGIN, ALPHA = 0.03, 0.05
PAIRS = 2_000
PAGE = (CLONE / "docs" / "statistics.md").read_text(encoding="utf-8")
GATE = "gate: own\nminimum_n: 2\ncorrection: {correction}\ntasks:\n{tasks}"


def draw(random: np.random.Generator, n: int, down: float, up: float) -> tuple[np.ndarray, np.ndarray]:
    base = random.integers(0, 2, n).astype(float)
    chances = np.where(base == 1, 2 * down, 2 * up)  # half of the samples are right, half wrong
    return base, np.where(random.random(n) < chances, 1 - base, base)


def judge_folders(
    folder: Path, random: np.random.Generator, pairs: int, n: int, down: float, up: float
) -> Counter[str]:
    (folder / "own.yaml").write_text(GATE.format(correction="holm", tasks=f"  - {{task: made_up, margin: {MARGIN}}}\n"))
    gate = load_gate(str(folder / "own.yaml"))
    verdicts: Counter[str] = Counter()
    for _ in range(pairs):
        base, new = draw(random, n, down, up)
        write_run(folder / "old", list(base))
        write_run(folder / "new", list(new))
        sides = (by_task([folder / name], {"made_up"}) for name in ("old", "new"))
        verdicts[check(gate, *sides).verdict] += 1
    return verdicts


def told(truth: str, found: Counter[str], wanted: str) -> str:
    """A row of the page's table; the page must hold it."""
    shares = " | ".join(f"{found[verdict] / PAIRS:.1%}" for verdict in ("ok", "worse", "inconclusive"))
    return f"| {truth} | {shares} | {wanted} |"


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("down", "up"), [(0.05, 0.02), (0.03, 0.0), (0.12, 0.09)])
def test_a_drop_as_large_as_the_margin_seldom_passes(tmp_path: Path, down: float, up: float) -> None:
    found = judge_folders(tmp_path, np.random.default_rng(1), PAIRS, 400, down, up)
    assert told(f"the margin exactly: {down:.0%} turn wrong, {up:.0%} right", found, "ok 5% at most") in PAGE
    assert found["ok"] / PAIRS <= ALPHA + 0.015
    assert found["worse"] / PAIRS <= ALPHA + 0.015


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_an_unchanged_model_is_not_called_worse_and_passes_as_planned(tmp_path: Path) -> None:
    n, flips = 400, 0.10
    found = judge_folders(tmp_path, np.random.default_rng(2), PAIRS, n, flips / 2, flips / 2)
    planned = non_inferiority_power(0.0, MARGIN, (flips / n) ** 0.5, ALPHA)
    assert told("no drop: 5% turn wrong, 5% right", found, f"ok {planned:.1%}, worse 0") in PAGE
    assert found["worse"] / PAIRS <= 0.002
    assert found["ok"] / PAIRS == pytest.approx(planned, abs=0.03)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_drop_beyond_the_margin_is_found_as_planned(tmp_path: Path) -> None:
    n, down, up = 400, 0.11, 0.02
    error = ((down + up - (down - up) ** 2) / n) ** 0.5
    found = judge_folders(tmp_path, np.random.default_rng(3), PAIRS, n, down, up)
    planned = non_inferiority_power(-(down - up), -MARGIN, error, ALPHA)
    assert told(f"a drop of 9 points: {down:.0%} turn wrong, {up:.0%} right", found, f"worse {planned:.1%}") in PAGE
    assert found["worse"] / PAIRS == pytest.approx(planned, abs=0.03)
    assert found["ok"] == 0


# --------------------------------------------------------------------------- many tasks, many looks


def scores_of(task: str, values: np.ndarray) -> Scores:
    samples = {str(place): SampleScores(str(place), "c", {"acc": value}) for place, value in enumerate(values)}
    return Scores(
        place=task, run=task, task=task, version=1, protocol="default", ability="", subsets={},
        hashes={"protocol": "p", "demonstrations": "d"}, model={"name": "m"}, options={}, created="", state="finished",
        asked=len(samples), of=len(samples), demo=False, metrics={"acc": MetricFacts()}, samples=samples,
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("correction", "holds"), [("holm", True), ("none", False)])
def test_twelve_tasks_at_the_margin_fail_a_build_no_more_often_than_one(correction: str, holds: bool) -> None:
    random, tasks, rounds = np.random.default_rng(4), [f"task{number}" for number in range(12)], 1000
    gate = Gate.model_validate({
        "gate": "own", "minimum_n": 2, "correction": correction,
        "tasks": [{"task": task, "margin": MARGIN} for task in tasks],
    })  # fmt: skip
    failed = 0
    for _ in range(rounds):
        pairs = {task: draw(random, 400, 0.05, 0.02) for task in tasks}
        olds = {task: scores_of(task, old) for task, (old, _) in pairs.items()}
        news = {task: scores_of(task, new) for task, (_, new) in pairs.items()}
        failed += check(gate, olds, news).verdict == "worse"
    assert f"| twelve tasks at the margin, correction {correction} | {failed / rounds:.1%} |" in PAGE
    assert (failed / rounds <= ALPHA + 0.02) == holds


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("sequential", "holds"), [(True, True), (False, False)])
def test_twenty_looks_at_checkpoints_on_the_margin(sequential: bool, holds: bool) -> None:
    """Every checkpoint's samples are the same documents, its flips are its own: looks depend on each other."""
    random, rounds, looks = np.random.default_rng(5), 1000, 20
    gate = Gate.model_validate({"gate": "own", "minimum_n": 2, "tasks": [{"task": "t", "margin": MARGIN}]})
    ever = 0
    for _ in range(rounds):
        base = random.integers(0, 2, 400).astype(float)
        old = {"t": scores_of("t", base)}
        for look in range(1, looks + 1):
            chances = np.where(base == 1, 0.10, 0.04)
            new = np.where(random.random(400) < chances, 1 - base, base)
            if check(gate, old, {"t": scores_of("t", new)}, look=look if sequential else None).verdict == "worse":
                ever += 1
                break
    how = "alpha spent over the looks" if sequential else "each look at 5%"
    assert f"| twenty looks at checkpoints on the margin, {how} | {ever / rounds:.1%} |" in PAGE
    assert (ever / rounds <= ALPHA + 0.015) == holds


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_command_says_what_its_function_says(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    (tmp_path / "own.yaml").write_text(
        GATE.format(correction="holm", tasks=f"  - {{task: made_up, margin: {MARGIN}}}\n")
    )
    gate = load_gate(str(tmp_path / "own.yaml"))
    for number in range(50):
        base, new = draw(random, 400, 0.03 + 0.002 * number, 0.02)
        write_run(tmp_path / "old", list(base))
        write_run(tmp_path / "new", list(new))
        expected = check(gate, *(by_task([tmp_path / name], {"made_up"}) for name in ("old", "new")))
        ended = subprocess.run(
            [sys.executable, "-m", "evalharness", "check", "--gate", "own.yaml", "-b", "old", "-c", "new", "--json"],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == expected.exit_code(), ended.stderr
        assert json.loads(ended.stdout)["verdict"] == expected.verdict


def test_pairing_sees_a_drop_that_unpaired_scores_do_not() -> None:
    """Runs whose scores go together with correlation .9: the unpaired z of two accuracies (what lm-eval's comparator
    computes) finds nothing in 400 samples, the paired gate fails the build."""
    random = np.random.default_rng(7)
    base = random.integers(0, 2, 400).astype(float)
    ones = np.flatnonzero(base == 1)
    new = base.copy()
    new[random.choice(ones, 20, replace=False)] = 0.0  # five points worse, and nothing else differs
    old, candidate = scores_of("t", base), scores_of("t", new)
    gate = Gate.model_validate({"gate": "own", "minimum_n": 2, "tasks": [{"task": "t", "margin": 0.02}]})
    (verdict,) = check(gate, {"t": old}, {"t": candidate}).verdicts
    assert verdict.difference is not None
    assert verdict.difference.correlation == pytest.approx(0.9, abs=0.02)
    assert verdict.verdict == "worse"
    unpaired = (base.var(ddof=1) / 400 + new.var(ddof=1) / 400) ** 0.5
    assert abs(new.mean() - base.mean()) / unpaired < 1.645
