"""What `compare`, `check` and `report` say of faulty runs: one sentence, and the documented code."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.command import said
from runs_for_tests import write_run

from evalharness.records.folder import Run

N = 120
GOOD = [1.0, 0.0] * (N // 2)


def rewrite(run: Run, name: str, **changes: object) -> None:
    path = run.path / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def doubled(run: Run) -> None:
    journal = run.journal.read_bytes()
    run.journal.write_bytes(journal + journal.splitlines(keepends=True)[0])


def damaged(run: Run) -> None:
    lines = run.journal.read_bytes().splitlines(keepends=True)
    run.journal.write_bytes(b"".join([*lines[:3], b"{\n", *lines[4:]]))


def torn(run: Run) -> None:
    run.journal.write_bytes(run.journal.read_bytes()[:-9])


def unlinked(name: str) -> Callable[[Run], None]:
    return lambda run: (run.path / name).unlink()


FAULTS: dict[str, tuple[Callable[[Run], None], int, str]] = {
    "duplicate id": (doubled, 65, "the sample '0' stands there twice"),
    "damaged line": (damaged, 65, "line 4 is damaged"),
    "newer format": (lambda run: rewrite(run, "run.json", format=9), 65, "format 9 is newer"),
    "newer results": (lambda run: rewrite(run, "results.json", format=9), 65, "format 9 is newer"),
    "no journal": (unlinked("samples.jsonl"), 65, "no such file"),
    "no run.json": (unlinked("run.json"), 64, "no run here (it has no run.json)"),
}


@pytest.fixture
def sides(here: Path) -> tuple[Run, Run]:
    (here / "own.yaml").write_text("gate: own\ntasks:\n  - {task: made_up, margin: 0.05}\n")
    return write_run(here / "old", GOOD), write_run(here / "new", GOOD)


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_files(sides: tuple[Run, Run], fault: str) -> None:
    change, code, sentence = FAULTS[fault]
    change(sides[1])
    said("compare", "old", "new").refused(code, sentence)
    said("check", "--gate", "own.yaml", "-b", "old", "-c", "new").refused(code, sentence)


def test_a_torn_journal_is_read_to_its_last_whole_line(sides: tuple[Run, Run]) -> None:
    torn(sides[1])
    out = said("compare", "old", "new").done().out
    assert f"{N - 1} samples are shared" in out
    assert said("check", "--gate", "own.yaml", "-b", "old", "-c", "new").code == 0


def test_runs_of_different_n_are_paired_and_it_is_said(here: Path, sides: tuple[Run, Run]) -> None:
    write_run(here / "new", GOOD[:110])
    assert (
        "110 samples are shared, of 120 of the baseline and 110 of the candidate" in said("compare", "old", "new").out
    )


def test_no_sample_does_not_compare(here: Path, sides: tuple[Run, Run]) -> None:
    write_run(here / "new", [])
    said("compare", "old", "new").refused(3, "new has no sample")
    assert said("check", "--gate", "own.yaml", "-b", "old", "-c", "new").code == 3


@pytest.mark.parametrize("values", [[math.nan] * N, [None] * N])
def test_no_number_does_not_compare_and_breaks_a_gate(here: Path, sides: tuple[Run, Run], values: list[float]) -> None:
    write_run(here / "new", values)
    said("compare", "old", "new").refused(3, "no shared sample has a number for acc on both sides")
    assert said("check", "--gate", "own.yaml", "-b", "old", "-c", "new").code == 4
    assert said("report", "new").code == 0


def test_half_of_the_samples_failed(here: Path, sides: tuple[Run, Run]) -> None:
    write_run(here / "new", [None, 1.0] * (N // 2))
    assert "60 of 120 samples of the candidate failed" in said("compare", "old", "new").done().out
    assert said("check", "--gate", "own.yaml", "-b", "old", "-c", "new").code == 4


def test_a_baseline_of_another_version_of_the_task(here: Path, sides: tuple[Run, Run]) -> None:
    said("baseline", "save", "old", "--to", "kept").done()
    write_run(here / "new", GOOD, version=2)
    said("compare", "kept/made_up.json", "new").refused(3, "the task's versions are 1 and 2")
    assert said("check", "--gate", "own.yaml", "-b", "kept", "-c", "new").code == 3


def test_an_unknown_metric(sides: tuple[Run, Run]) -> None:
    said("compare", "old", "new", "--metric", "ac").refused(64, "did you mean 'acc'")
