"""The gate as a command: exit codes, what it writes, looks that spend alpha, and a model that it runs itself."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from e2e.command import said
from junitparser import JUnitXml
from runs_for_tests import write_run

GATE = "gate: own\ntasks:\n  - {task: made_up, margin: 0.03}\n"
BASE = [float(value) for value in np.random.default_rng(0).integers(0, 2, 400)]


@pytest.fixture
def gate(here: Path) -> Path:
    path = here / "own.yaml"
    path.write_text(GATE)
    write_run(here / "old", BASE)
    return path


def candidate(here: Path, name: str, values: list[float | None], **changes: object) -> Path:
    write_run(here / name, values, model=name, **changes)  # type: ignore[arg-type]
    return here / name


def broken(share: float) -> list[float]:
    return [0.0 if place < share * len(BASE) else value for place, value in enumerate(BASE)]


@pytest.mark.parametrize(
    ("values", "changes", "code", "strict"),
    [
        (BASE, {}, 0, 0),
        (broken(0.3), {}, 1, 1),
        (broken(0.06), {}, 0, 2),
        (BASE, {"protocol": "f" * 64}, 3, 3),
        ([], {}, 3, 3),
        ([None] * 400, {}, 4, 4),
        ([None, 1.0] * 200, {}, 4, 4),
    ],
)
def test_exit_codes(here: Path, gate: Path, values: list[float | None], changes: dict[str, object], code: int,
                    strict: int) -> None:  # fmt: skip
    candidate(here, "new", values, **changes)
    arguments = ["check", "--gate", gate, "--baseline", "old", "--candidate", "new"]
    assert said(*arguments).code == code
    assert said(*arguments, "--strict").code == strict


def test_what_it_writes(here: Path, gate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate(here, "new", broken(0.3))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(here / "summary.md"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(here / "outputs"))
    ended = said("check", "--gate", gate, "--baseline", "old", "--candidate", "new",
                 "--junit", "out/junit.xml", "--markdown", "out/pr.md", "--json")  # fmt: skip
    assert ended.code == 1
    facts = json.loads(ended.out)
    assert facts["verdict"] == "worse"
    assert facts["tasks"][0]["flipped_to_worse"]
    assert "::error file=" in ended.err
    assert "made_up%3A worse" in ended.err
    assert (here / "outputs").read_text() == "verdict=worse\nexit-code=1\n"
    assert "### gate own: worse: made_up" in (here / "summary.md").read_text()
    assert (here / "out/pr.md").read_text() == (here / "summary.md").read_text()
    (suite,) = JUnitXml.fromfile(str(here / "out/junit.xml"))
    assert (suite.tests, suite.failures, suite.errors) == (1, 1, 0)
    (case,) = suite
    (failure,) = case.result
    assert "samples worse" in failure.text


def test_junit_tells_a_regression_from_an_error(here: Path, gate: Path) -> None:
    candidate(here, "new", [None] * 400)
    said("check", "--gate", gate, "--baseline", "old", "--candidate", "new", "--junit", "junit.xml")
    root = ElementTree.parse(here / "junit.xml").getroot()
    assert root.find(".//error") is not None
    assert root.find(".//failure") is None


def test_a_committed_baseline_judges_as_its_run_does(here: Path, gate: Path) -> None:
    said("baseline", "save", "old", "--to", "kept", "--why", "the first", "--by", "Ida").done()
    candidate(here, "new", broken(0.1))
    by_run, by_file = (
        json.loads(said("check", "--gate", gate, "--baseline", base, "--candidate", "new", "--json").out)
        for base in ("old", "kept/made_up.json")
    )
    assert by_run == by_file
    assert "the first" in said("baseline", "show", "kept").done().out


def test_a_plan_says_what_can_be_seen(here: Path, gate: Path) -> None:
    out = said("check", "--gate", gate, "--baseline", "old", "--plan").done().out
    assert "two runs that have nothing in common" in out
    candidate(here, "new", broken(0.02))
    assert "as between the two runs" in said("check", "--gate", gate, "-b", "old", "-c", "new", "--plan").done().out


def test_looks_are_counted_in_the_trend(here: Path, gate: Path) -> None:
    candidate(here, "new", broken(0.14))
    arguments = ["check", "--gate", gate, "-b", "old", "-c", "new", "--trend", "trend.jsonl", "--sequential", "--json"]
    found = [json.loads(said(*arguments).out) for _ in range(3)]
    assert [one["look"] for one in found] == [1, 2, 3]
    assert [one["alpha"] for one in found] == pytest.approx([0.025, 0.05 / 6, 0.05 / 12])
    assert len((here / "trend.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--baseline", "old"], 64, "name the candidate's run with --candidate, or a model"),
        (["--baseline", "nowhere", "--candidate", "old"], 64, "no such run, baseline or folder"),
        (["--baseline", "old", "--candidate", "old", "--gate", "quik"], 64, "did you mean 'quick'"),
        (["--baseline", "old", "--candidate", "old", "--task", "gsm8k"], 64, "declares no margin"),
        (["--baseline", "old", "--candidate", "old", "--sequential"], 64, "--trend"),
        (["--baseline", "old", "--candidate", "bad.json"], 65, "not valid JSON"),
        (["--baseline", "old", "--candidate", "old", "--gate", "bad.yaml"], 65, "tasks.0.margn: unknown key"),
    ],
)
def test_bad_input_is_one_sentence(here: Path, gate: Path, arguments: list[str], code: int, sentence: str) -> None:
    (here / "bad.json").write_text("{")
    (here / "bad.yaml").write_text(GATE.replace("margin", "margn"))
    given = arguments if "--gate" in arguments else [*arguments, "--gate", str(gate)]
    ended = said("check", *given)
    assert ended.code == code
    assert sentence in ended.err
    assert ended.err.count("\n") == 1


def test_a_newer_baseline_is_refused(here: Path, gate: Path) -> None:
    said("baseline", "save", "old", "--to", "kept.json").done()
    path = here / "kept.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    ended = said("check", "--gate", gate, "-b", path, "-c", "old")
    assert ended.code == 65
    assert "format 99 is newer" in ended.err


def test_a_model_is_asked_as_the_baseline_was(here: Path, fake: None) -> None:
    (here / "own.yaml").write_text("gate: own\nminimum_n: 2\ntasks:\n  - {task: gsm8k, margin: 0.03}\n")
    said("run", "--task", "gsm8k", "--model", "fake:", "--limit", 5, "--output", "old", "--quiet").done()
    said("baseline", "save", "old", "--to", "kept").done()
    arguments = ["check", "--gate", "own.yaml", "-b", "kept", "--quiet", "--model"]
    ended = said(*arguments, "fake:", "--output", "new", "--json")
    facts = json.loads(ended.out)
    assert facts["tasks"][0]["n"] == 5
    assert facts["tasks"][0]["verdict"] in ("ok", "inconclusive")
    assert ended.code == 0
    assert said(*arguments, "fake:fail=1", "--output", "broken").code == 4
