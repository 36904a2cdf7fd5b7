"""`evalharness leaderboard`: building, checking what is committed, updating baselines, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e.command import said
from leaderboards.made_up import QUALITIES, answers, column, definition, make_runs, write_definition
from runs_for_tests import write_run


@pytest.fixture
def place(tmp_path: Path) -> Path:
    make_runs(tmp_path / "runs")
    write_definition(tmp_path)
    return tmp_path


def test_a_table_is_built_and_checks(place: Path) -> None:
    ended = said("leaderboard", "build", place / "made-up.yaml", "--runs", place / "runs").done()
    assert "3 models, 2 columns" in ended.out
    kept = {path.name: path.read_bytes() for path in (place / "made-up").iterdir()}
    assert sorted(kept) == [f"leaderboard.{kind}" for kind in ("csv", "html", "json", "md", "tex")]
    said("leaderboard", "build", place / "made-up.yaml", "--runs", place / "runs", "--check").done()
    said("leaderboard", "build", place / "made-up.yaml", "--runs", place / "runs").done()
    assert {path.name: path.read_bytes() for path in (place / "made-up").iterdir()} == kept


def test_one_changed_score_fails_the_check(place: Path) -> None:
    said("leaderboard", "build", place / "made-up.yaml", "--runs", place / "runs").done()
    path = place / "made-up/leaderboard.json"
    facts = json.loads(path.read_text())
    facts["models"]["model-b"]["cells"]["Hard"]["value"] = 0.999
    path.write_text(json.dumps(facts, indent=1) + "\n")
    ended = said("leaderboard", "build", place / "made-up.yaml", "--runs", place / "runs", "--check")
    ended.refused(1, "leaderboard.json: model-b, Hard: value: 0.999 as committed, 0.5", " as built; ")


def test_one_changed_sample_fails_the_check(place: Path) -> None:
    said("leaderboard", "build", place / "made-up.yaml", "--runs", place / "runs").done()
    changed = answers(QUALITIES["model-a"] + 0.3, 0)
    changed[5] = 1 - changed[5]
    write_run(place / "runs/easy-0", changed, task="easy", model="model-a")
    ended = said("leaderboard", "build", place / "made-up.yaml", "--runs", place / "runs", "--check")
    ended.refused(1, "model-a, Easy: high: ")


@pytest.mark.parametrize("name", ["leaderboard.md", "leaderboard.html"])
def test_another_format_that_differs_is_named_with_its_line(name: str, place: Path) -> None:
    said("leaderboard", "build", place / "made-up.yaml", "--runs", place / "runs").done()
    path = place / "made-up" / name
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "changed", *lines[4:]]) + "\n")
    ended = said("leaderboard", "build", place / "made-up.yaml", "--runs", place / "runs", "--check")
    ended.refused(1, f"{name}: line 4 differs")


def test_a_table_that_was_never_built_fails_the_check(place: Path) -> None:
    ended = said("leaderboard", "build", place / "made-up.yaml", "--runs", place / "runs", "--check")
    ended.refused(1, "leaderboard.json: no such file")
    assert not (place / "made-up").exists()


def test_an_update_keeps_baselines_from_which_the_table_is_built(place: Path) -> None:
    ended = said("leaderboard", "update", place / "made-up.yaml", place / "runs", "--by", "me", "--why", "first").done()
    assert ended.out.count("wrote ") == 7
    kept = place / "baselines/made-up/model-b/easy-default.json"
    assert json.loads(kept.read_text())["history"][0]["why"] == "first"
    said("leaderboard", "build", place / "made-up.yaml", "--check").done()


def test_an_update_replaces_one_run(place: Path) -> None:
    said("leaderboard", "update", place / "made-up.yaml", place / "runs").done()
    write_run(place / "again", [1.0] * 200, task="easy", model="model-a")
    said("leaderboard", "update", place / "made-up.yaml", place / "again", "--why", "better").done()
    facts = json.loads((place / "made-up/leaderboard.json").read_text())
    assert facts["models"]["model-a"]["cells"]["Easy"]["value"] == 1
    history = json.loads((place / "baselines/made-up/model-a/easy-default.json").read_text())["history"]
    assert [entry["why"] for entry in history] == ["", "better"]


def test_the_first_of_many_updates_makes_no_table_yet(place: Path) -> None:
    ended = said("leaderboard", "update", place / "made-up.yaml", place / "runs/easy-0").done()
    assert "no table yet: " in ended.out
    assert (place / "baselines/made-up/model-a/easy-default.json").is_file()


def test_an_update_that_does_not_fit_is_refused_before_anything_is_written(place: Path) -> None:
    write_definition(place, definition(mismatch="refuse"))
    said("leaderboard", "update", place / "made-up.yaml", place / "runs").done()
    write_run(place / "again", [1.0] * 200, task="easy", model="model-b", version=2)
    kept = (place / "baselines/made-up/model-b/easy-default.json").read_bytes()
    ended = said("leaderboard", "update", place / "made-up.yaml", place / "again")
    ended.refused(3, "columns: Easy", "model-b does not fit: the task's versions are 1 and 2")
    assert (place / "baselines/made-up/model-b/easy-default.json").read_bytes() == kept


def test_an_update_of_nobody(place: Path) -> None:
    write_run(place / "again", [1.0] * 200, task="easy", model="model-bb")
    said("leaderboard", "update", place / "made-up.yaml", place / "again").refused(64, "did you mean 'model-b'?")


def test_an_update_of_another_task(place: Path) -> None:
    write_run(place / "again", [1.0] * 200, task="eazy", model="model-b")
    said("leaderboard", "update", place / "made-up.yaml", place / "again").refused(64, "did you mean 'easy'?")


def test_an_update_of_half_a_run(place: Path) -> None:
    write_run(place / "again", [1.0] * 200, task="easy", model="model-b", asked=400)
    said("leaderboard", "update", place / "made-up.yaml", place / "again").refused(64, "200 of 400 samples are there")


def test_a_model_without_a_run(place: Path) -> None:
    path = write_definition(place, definition([*QUALITIES, "model-z"]))
    ended = said("leaderboard", "build", path, "--runs", place / "runs")
    ended.refused(65, "models: model-z: no finished run and no baseline of 'model-z'", str(place / "runs"))


def test_a_run_that_has_not_ended_is_none(place: Path) -> None:
    write_run(place / "runs/half", answers(1, 0), task="easy", model="model-z", state="running")
    path = write_definition(place, definition([*QUALITIES, "model-z"]))
    said("leaderboard", "build", path, "--runs", place / "runs").refused(65, "no finished run")


def test_an_unknown_metric(place: Path) -> None:
    path = write_definition(place, definition(columns=[column(metric="ac")]))
    ended = said("leaderboard", "build", path, "--runs", place / "runs")
    ended.refused(65, "columns: Easy: ", "has no metric 'ac'; did you mean 'acc'?")


def test_a_damaged_baseline(place: Path) -> None:
    said("leaderboard", "update", place / "made-up.yaml", place / "runs").done()
    path = place / "baselines/made-up/model-b/easy-default.json"
    path.write_text(path.read_text()[:100])
    said("leaderboard", "build", place / "made-up.yaml").refused(65, str(path), "not valid JSON")


def test_baselines_that_are_not_there(place: Path) -> None:
    path = write_definition(place, definition([{"name": "model-a", "baselines": "kept/none.json"}]))
    said("leaderboard", "build", path).refused(65, "models: model-a: baselines: ", "none.json: no such run")


def test_an_empty_folder_of_runs(place: Path) -> None:
    (place / "empty").mkdir()
    said("leaderboard", "build", place / "made-up.yaml", "--runs", place / "empty").refused(64, "no run is there")


@pytest.mark.parametrize("option", ["--runs", "--baselines"])
def test_a_folder_that_is_not_there(option: str, place: Path) -> None:
    said("leaderboard", "build", place / "made-up.yaml", option, place / "none").refused(64, "none: no such folder")


def test_a_disk_that_refuses(place: Path) -> None:
    (place / "file").write_text("")
    ended = said("leaderboard", "build", place / "made-up.yaml", "--runs", place / "runs", "--output", place / "file/x")
    ended.refused(74, "cannot be written")


def test_an_update_goes_to_the_file_that_a_model_names(place: Path) -> None:
    said("baseline", "save", place / "runs/easy-0", "--to", place / "kept/own.json").done()
    path = write_definition(place, definition([{"name": "model-a", "baselines": "kept/own.json"}], columns=[column()]))
    write_run(place / "again", [1.0] * 200, task="easy", model="model-a")
    said("leaderboard", "update", path, place / "again").done()
    assert len(json.loads((place / "kept/own.json").read_text())["history"]) == 2
    write_run(place / "cot", [1.0] * 200, task="hard", model="model-a")
    path = write_definition(place, definition([{"name": "model-a", "baselines": "kept/own.json"}]))
    said("leaderboard", "update", path, place / "cot").refused(64, "none of its baselines is of hard")


def test_an_update_goes_to_the_folder_that_a_model_names(place: Path) -> None:
    path = write_definition(place, definition([{"name": "model-a", "baselines": "kept"}]))
    said("leaderboard", "update", path, place / "runs/easy-0", place / "runs/hard-0").done()
    assert sorted(file.name for file in (place / "kept").iterdir()) == ["easy-default.json", "hard-default.json"]
    said("leaderboard", "build", path, "--check").done()
