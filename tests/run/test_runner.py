"""Runs on disk: their folders, what is written, and what is gone on with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from e2e.command import lines_in, said
from e2e.fake import Fake

import evalharness
from evalharness.errors import UsageError
from evalharness.records.folder import Run, find_runs, read_run
from evalharness.run import runner
from evalharness.run.options import RunOptions


def names(folder: Path) -> list[str]:
    return sorted(run.path.name for run in find_runs(folder))


def test_a_folder_is_named_by_date_task_model_and_hash_and_the_next_gets_a_number(here: Path) -> None:
    first = evalharness.evaluate("mmlu/astronomy", model=Fake(name="Own model (Q4)"), shots=0)
    second = evalharness.evaluate("mmlu/astronomy", model=Fake(name="Own model (Q4)"), shots=0)
    third = evalharness.evaluate("mmlu/astronomy", model=Fake(name="Own model (Q4)"), shots=0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-mmlu-astronomy-Own-model-Q4-[0-9a-f]{8}", first.path.name)
    assert [second.path.name, third.path.name] == [f"{first.path.name}-2", f"{first.path.name}-3"]
    assert first.record.id == first.path.name
    assert first.path.name.endswith(first.record.hashes["settings"][:8])


def stop(run: Run, keep: int) -> None:
    """As if the run had been killed after `keep` samples."""
    run.write(run.record.model_copy(update={"state": "running"}))
    run.journal.write_bytes(b"".join(run.journal.read_bytes().splitlines(keepends=True)[:keep]))


def test_an_unfinished_run_with_a_number_is_found_again(here: Path) -> None:
    for _ in range(2):
        last = evalharness.evaluate("gsm8k", model=Fake(), limit=5)
    stop(last, 2)
    log = here / "log"
    again = evalharness.evaluate("gsm8k", model=Fake(log=log), limit=5)
    assert again.path == last.path
    assert lines_in(log) == 3
    assert again.record.state == "finished"
    assert len(names(here / "runs")) == 2


def test_a_damaged_run_of_something_else_is_in_nobodys_way(here: Path) -> None:
    (here / "runs/2026-01-01-other").mkdir(parents=True)
    (here / "runs/2026-01-01-other/run.json").write_text("{torn")
    assert evalharness.evaluate("gsm8k", model=Fake(), limit=2).record.state == "finished"


def test_no_resume_begins_anew(here: Path) -> None:
    first = evalharness.evaluate("gsm8k", model=Fake(), limit=5)
    stop(first, 2)
    log = here / "log"
    assert evalharness.evaluate("gsm8k", model=Fake(log=log), limit=5, resume=False).path != first.path
    assert lines_in(log) == 5


@pytest.mark.parametrize("changed", [{"seed": 1}, {"limit": 4}, {"shots": 2}, {"set": {"decode": {"max_tokens": 9}}}])
def test_other_settings_are_another_run(changed: dict[str, Any], here: Path) -> None:
    first = evalharness.evaluate("gsm8k", model=Fake(), limit=5)
    stop(first, 2)
    assert evalharness.evaluate("gsm8k", model=Fake(), **({"limit": 5} | changed)).path != first.path


def test_an_own_folder(here: Path) -> None:
    run = evalharness.evaluate("gsm8k", model=Fake(), limit=5, output=here / "a/b")
    assert run.path == here / "a/b"
    assert sorted(path.name for path in run.path.iterdir()) == ["results.json", "run.json", "samples.jsonl"]
    whole = run.journal.read_bytes()
    stop(run, 3)
    again = evalharness.evaluate("gsm8k", model=Fake(), limit=5, output=here / "a/b")
    assert again.journal.read_bytes() == whole
    with pytest.raises(UsageError, match=r"other settings \(.*seed: 0 before, 3 now"):
        evalharness.evaluate("gsm8k", model=Fake(), limit=5, seed=3, output=here / "a/b")
    with pytest.raises(UsageError, match="holds a run already"):
        evalharness.evaluate("gsm8k", model=Fake(), limit=5, resume=False, output=here / "a/b")
    (here / "full").mkdir()
    (here / "full/file").touch()
    with pytest.raises(UsageError, match="holds other files"):
        evalharness.evaluate("gsm8k", model=Fake(), limit=5, output=here / "full")


def test_several_cells_share_a_folder(here: Path) -> None:
    options = RunOptions(task=("gsm8k", "arc_easy"), limit=2, output=here / "all")
    told: list[str] = []
    runs = runner.run(
        options, backends=[Fake(), Fake(name="other")], report=lambda run, results: told.append(results.run)
    )
    assert [(run.record.task, run.record.model["name"]) for run in runs] == [
        ("gsm8k", "fake"), ("arc_easy", "fake"), ("gsm8k", "other"), ("arc_easy", "other"),
    ]  # fmt: skip
    assert {run.path.parent for run in runs} == {here / "all"}
    assert told == [run.record.id for run in runs]


def test_every_cell_is_checked_against_the_model_before_the_first_one_runs(here: Path) -> None:
    options = RunOptions(task=("gsm8k", "arc_easy"), limit=2)
    with pytest.raises(UsageError, match="arc_easy asks a model to score"):
        runner.run(options, backends=[Fake(verbs=frozenset({"generate"}))])
    assert not (here / "runs").exists()


def test_what_a_run_says_of_itself(here: Path) -> None:
    run = evalharness.evaluate("gsm8k", model=Fake(), limit=3, repeats=2)
    record, results = run.record, run.results
    assert results is not None
    assert (record.task, record.protocol, record.samples, record.of) == ("gsm8k", "default", 3, 1319)
    assert record.hashes.keys() == {"protocol", "demonstrations", "content", "settings"}
    assert [source["kind"] for source in record.data] == ["mirror", "mirror"]
    assert record.environment["versions"]["evalharness"]
    assert record.finished is not None
    assert record.created <= record.finished
    lines = list(run.lines())
    calls = [call for line in lines for repeat in line["repeats"] for call in repeat["calls"]]
    assert results.usage["requests"] == len(calls) == 6
    assert results.usage["prompt_tokens"] == sum(call["tokens"] for call in calls)
    assert results.usage["distinct_tokens"] < results.usage["prompt_tokens"]
    assert results.usage["generated_tokens"] == sum(c["tokens"] for call in calls for c in call["completions"])


@pytest.mark.usefixtures("fake")
def test_from_a_run_is_the_same_run_again(here: Path) -> None:
    said("run", "-t", "gsm8k", "-t", "arc_easy", "-m", "fake:", "--sample", 5, "--seed", 3, "--set",
         "decode.max_tokens=9", "--shots", 2, "--output", "both").done()  # fmt: skip
    for first in find_runs(here / "both"):
        target = here / f"again-{first.record.task}"
        said("run", "--from", first.path, "--output", target).done()
        again = read_run(target)
        assert again.record.settings == first.record.settings
        assert again.journal.read_bytes() == first.journal.read_bytes()
        said("run", "--from", first.path, "--seed", 4, "--output", here / f"other-{first.record.task}").done()
        assert read_run(here / f"other-{first.record.task}").record.settings["seed"] == 4


@pytest.mark.usefixtures("fake")
def test_a_config_file_says_what_the_command_line_may_overrule(here: Path) -> None:
    (here / "run.yaml").write_text("task: gsm8k\nmodel: 'fake:'\nlimit: 4\nset: {decode: {max_tokens: 9}}\n")
    said("run", "--config", "run.yaml", "--limit", 2, "--set", "decode.top_k=5", "--output", "kept").done()
    record = read_run(here / "kept").record
    assert record.samples == 2
    assert record.definition["decode"]["max_tokens"] == 9
    assert record.definition["decode"]["top_k"] == 5


def test_groups_are_means_over_samples(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from e2e.rows import MMLU

    monkeypatch.setattr("evalharness.tasks.task.Task.subsets", lambda task: list(MMLU))
    run = evalharness.evaluate("mmlu", model=Fake())
    results = run.results
    assert results is not None
    by_subset: dict[str, list[float]] = {}
    for line in run.lines():
        by_subset.setdefault(line["subset"], []).append(line["scores"]["acc"])
    stem = by_subset["abstract_algebra"] + by_subset["astronomy"]
    assert len({len(values) for values in by_subset.values()}) == 3
    assert results.groups["stem"]["acc"].value == pytest.approx(sum(stem) / len(stem))
    assert results.groups["stem"]["acc"].n == 7
    assert results.groups["other"]["acc"].n == 3
    every = [value for values in by_subset.values() for value in values]
    assert results.scores["acc"].value == pytest.approx(sum(every) / len(every))
    for subset, values in by_subset.items():
        assert results.subsets[subset]["acc"].value == pytest.approx(sum(values) / len(values))


@pytest.mark.parametrize("reducer", ["mean", "majority", "pass@2", "pass^3"])
def test_repeats_are_reduced_by_name(reducer: str, here: Path) -> None:
    """Repeats replayed with c right answers of n: the estimators in closed form, sample by sample."""
    from math import comb

    right = [0, 1, 2, 3, 4]
    answers = [
        {"task": "gsm8k", "index": n, "completions": [f"#### {4 * n + 2 if turn < count else -1}" for turn in range(4)]}
        for n, count in enumerate(right)
    ]
    (here / "said.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    run = evalharness.evaluate("gsm8k", model="replay:said.jsonl", limit=5, repeats=4, reducer=reducer)
    expected = {
        "mean": [count / 4 for count in right],
        # Of tied answers the first: at 2 of 4 the right ones come first.
        "majority": [float(count >= 2) for count in right],
        "pass@2": [1 - comb(4 - count, 2) / comb(4, 2) for count in right],
        "pass^3": [comb(count, 3) / comb(4, 3) for count in right],
    }[reducer]
    assert [line["scores"]["exact_match"] for line in run.lines()] == pytest.approx(expected)
    assert [len(line["repeats"]) for line in run.lines()] == [4] * 5
    assert run.results is not None
    assert run.results.scores["exact_match"].value == pytest.approx(sum(expected) / 5)
