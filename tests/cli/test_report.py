"""`report` writes one file, or says in one sentence why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.command import said
from report.trainings import falling, write_training
from runs_for_tests import write_run

from evalharness.records.folder import Run


@pytest.fixture
def run(here: Path) -> Run:
    return write_run(here / "runs/first", [1.0, 0.0, 1.0])


def test_a_name_in_runs_and_the_file_that_was_written(run: Run) -> None:
    assert said("report", "first").done().out.startswith("report.html: ")
    assert "first" in Path("report.html").read_text()


def test_the_newest_run_where_none_is_named(run: Run, here: Path) -> None:
    write_run(here / "runs/second", [1.0], created="2026-11-02T12:00:00+00:00")
    said("report", "--output", "out/second.html").done()
    assert 'id="run-second"' in Path("out/second.html").read_text()
    assert [path.name for path in Path("out").iterdir()] == ["second.html"]


def test_several_runs_in_one_file(run: Run, here: Path) -> None:
    write_run(here / "runs/second", [0.0, 1.0, 1.0], model="model-b")
    said("report", "first", "runs/second", "--full").done()
    assert "1 fixed, 1 broken" in Path("report.html").read_text()


def test_no_run(here: Path) -> None:
    said("report").refused(64, "no runs in runs")
    said("report", "nowhere").refused(64, "nowhere: no run here")


def test_a_run_without_samples(run: Run) -> None:
    run.journal.write_bytes(b'{"torn')
    said("report", "first").refused(65, "no sample is in its journal (the run is finished)")
    assert not Path("report.html").exists()


def test_a_run_without_a_journal(run: Run) -> None:
    run.journal.unlink()
    said("report", "first").refused(65, "samples.jsonl: no such file")


def test_a_damaged_line(run: Run) -> None:
    first, *rest = run.journal.read_bytes().splitlines(keepends=True)
    run.journal.write_bytes(b"".join([first[:40] + b"\n", *rest]))
    said("report", "first").refused(65, "samples.jsonl: line 1 is damaged")


def test_a_newer_format(run: Run) -> None:
    path = run.path / "run.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    said("report", "first").refused(65, "format 99 is newer")


def test_an_unknown_metric(run: Run) -> None:
    said("report", "first", "--metric", "f1").refused(64, "--metric f1: ", "no such metric")


def test_a_folder_in_the_place_of_the_file(run: Run, here: Path) -> None:
    said("report", "first", "--output", here).refused(64, "a folder is there")


def test_a_place_that_cannot_be_written(run: Run) -> None:
    Path("file").write_text("")
    said("report", "first", "--output", "file/report.html").refused(74, "file/report.html: cannot be written")


def test_trainings_in_one_file(here: Path) -> None:
    write_training(here / "small", falling(5, 100))
    write_training(here / "large", falling(5, 100, floor=0.5))
    assert said("report", "small", "--output", "one.html").done().out.startswith("one.html: ")
    assert "<h1>Training small</h1>" in Path("one.html").read_text()
    said("report", "small", "large").done()
    assert "<h1>2 trainings</h1>" in Path("report.html").read_text()


def test_a_training_is_no_run(run: Run, here: Path) -> None:
    write_training(here / "small", falling(5, 100))
    said("report", "small", "runs/first").refused(64, "small is a training and runs/first is none")
    said("report", "small", "--full").refused(64, "--full and --metric are for runs")
