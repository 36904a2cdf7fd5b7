"""Re-scoring: today's definition on an old journal, with no model and no data, beside the old run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.fake import Fake
from e2e.rows import write_rows

import evalharness
from evalharness.errors import UsageError
from evalharness.records.folder import Run, read_run
from evalharness.run.rescore import rescore

ROWS = [{"question": f"{n} times two?", "answer": str(2 * n)} for n in range(6)]
SAID = ["It is 0.", "2, or maybe 7", "4 of course", "that is 6", "no idea", "12 or 10"]


def definition(folder: Path, **changes: Any) -> None:
    values = {
        "name": "doubles",
        "version": 1,
        "ability": "reasoning/own",
        "description": "Doubles.",
        "source": {"paper": "none", "license": "none", "columns_from": "this test"},
        "data": {"file": "doubles.jsonl"},
        "prompt": {"question": "{{ question }}"},
        "target": "{{ answer }}",
        "answer": {"parser": "regex", "pattern": "([0-9]+)", "which": "last"},
        "metrics": ["exact_match"],
        "examples": ROWS[:3],
    }
    folder.mkdir(exist_ok=True)
    (folder / "doubles.yaml").write_text(yaml.safe_dump(values | changes, sort_keys=False))


@pytest.fixture
def run(here: Path) -> Run:
    """Last number of each text: samples 0, 2, 3, 5 are right."""
    definition(here / "own")
    write_rows(here / "own/doubles.jsonl", ROWS)
    write_rows(here / "said.jsonl", [{"index": n, "completions": [text]} for n, text in enumerate(SAID)])
    return evalharness.evaluate("doubles", model="replay:said.jsonl", include=[here / "own"], output=here / "old")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_unchanged_definition_changes_nothing(run: Run) -> None:
    again = rescore(run)
    assert again.changes == ()
    assert again.run.path == run.path.with_name("old-rescored")
    assert again.run.journal.read_bytes() == run.journal.read_bytes()
    assert again.results.scores == run.results.scores  # type: ignore[union-attr]
    assert again.run.record.rescored_from == run.record.id
    assert again.run.record.hashes == run.record.hashes


def test_another_parser_says_which_samples_changed(run: Run, here: Path) -> None:
    before = bytes_of(run.path)
    definition(here / "own", answer={"parser": "regex", "pattern": "([0-9]+)", "which": "first"})
    (here / "own/doubles.jsonl").unlink()
    (here / "said.jsonl").unlink()
    again = rescore(run, here / "new")
    changed = {change.id: (change.answer_before, change.answer_now) for change in again.changes}
    assert changed == {"1": ("7", "2"), "5": ("10", "12")}
    assert {change.id: change.now["exact_match"] for change in again.changes} == {"1": 1.0, "5": 0.0}
    assert again.results.scores["exact_match"].value == pytest.approx(4 / 6)
    assert again.run.record.hashes["protocol"] != run.record.hashes["protocol"]
    assert again.run.record.hashes["content"] == run.record.hashes["content"]
    assert bytes_of(run.path) == before
    for old, new in zip(run.lines(), again.run.lines(), strict=True):
        assert new["completions"] == old["completions"]
        assert new["repeats"][0]["calls"] == old["repeats"][0]["calls"]


def test_another_metric(run: Run, here: Path) -> None:
    definition(here / "own", metrics=["exact_match", "f1"])
    again = rescore(run)
    assert list(again.results.scores) == ["exact_match", "f1"]
    assert len(again.changes) == 6


def test_a_folder_of_definitions_elsewhere(run: Run, here: Path) -> None:
    shutil.move(here / "own", here / "moved")
    definition(here / "moved", answer={"parser": "regex", "pattern": "([0-9]+)", "which": "first"})
    assert len(rescore(run, include=(here / "moved",)).changes) == 2


def test_a_folder_that_exists_is_refused(run: Run) -> None:
    rescore(run)
    with pytest.raises(UsageError, match="exists already"):
        rescore(run)


@pytest.mark.parametrize("task", ["arc_easy", "lambada_openai", "wikitext", "mmlu/astronomy", "gsm8k"])
def test_shipped_tasks_score_alike_again(task: str, here: Path) -> None:
    old = evalharness.evaluate(task, model=Fake(max_length=700), limit=5)
    again = rescore(read_run(old.path))
    assert again.changes == ()
    assert again.results.scores == old.results.scores  # type: ignore[union-attr]
    assert again.results.counts == old.results.counts  # type: ignore[union-attr]


def test_samples_that_failed_stay_failed(here: Path) -> None:
    old = evalharness.evaluate("gsm8k", model=Fake(fail=4), limit=8, max_errors=1.0)
    again = rescore(old)
    assert again.results.counts["errored"] == 2
    assert again.changes == ()
