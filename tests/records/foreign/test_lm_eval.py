"""Results of lm-eval become runs that every command reads; what is torn, missing or newer is refused in a sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from e2e.command import said
from records.foreign.logs import CHOICE_TASK, CHOICES, TIME, choice, line, write_lm_eval_log
from runs_for_tests import lines_of

from evalharness.records.folder import Run, find_runs, read_run
from evalharness.records.foreign.lm_eval import read_results
from evalharness.records.foreign.lm_eval_run import run_of


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_DATA", raising=False)


def imported(folder: Path, to: Path, *arguments: object) -> Run:
    said("import", "lm-eval", folder, "--to", to, *arguments).done()
    (run,) = find_runs(to)
    return run


# --------------------------------------------------------------------------- what is kept


def test_choices_keep_their_log_likelihoods(tmp_path: Path) -> None:
    log = write_lm_eval_log(
        tmp_path / "log", {"colours": CHOICES}, configs={"colours": CHOICE_TASK},
        results={"colours": {"acc,none": 1 / 3, "acc_stderr,none": 0.3333}},
    )  # fmt: skip
    run = imported(log, tmp_path / "runs")
    first, second, third = lines_of(run)
    assert first["id"] == "0"
    assert first["index"] == 0
    assert first["choices"] == ["red", "blue"]
    assert first["target"] == 0
    assert first["log_likelihoods"] == [-1.25, -2.5]
    assert first["greedy"] == [True, False]
    assert first["scores"] == {"acc": 1.0}
    (call,) = first["repeats"][0]["calls"]
    assert call["prompt"] == "Colour 0 is"
    assert call["continuations"] == [" red", " blue"]
    assert second["greedy"] == [False, True]
    assert third["choices"] == ["red", "blue", "green"]
    results = run.results
    assert results is not None
    score = results.scores["acc"]
    assert score.value == pytest.approx(1 / 3)
    assert score.interval == "wilson"
    assert results.of == 10
    assert results.samples == 3
    record = run.record
    assert record.protocol == "foreign:lm-eval"
    assert record.hashes["protocol"].startswith("foreign:lm-eval:")
    assert record.created == "2026-09-21T14:13:20+00:00"
    assert record.model["name"] == "made/up"
    assert record.model["kind"] == "lm-eval:hf"
    assert record.model["details"]["dtype"] == "float32"
    assert results.note is not None
    assert "no task of ours has this name" in results.note


def test_texts_are_kept_with_every_filter(tmp_path: Path) -> None:
    arguments = ("Two and two?", {"until": ["\n"], "do_sample": False, "temperature": 0.7, "max_gen_toks": 8})
    scored = {"exact_match": 1.0}
    samples = [
        line(0, [arguments], ["It is 4.\n"], scored, filter="strict", filtered_resps=["4"], target="4"),
        line(0, [arguments], ["It is 4.\n"], scored, filter="loose", filtered_resps=["4."], target="4"),
        line(1, [arguments], [" "], {"exact_match": 0.0}, filter="strict", filtered_resps=["[invalid]"], target="5"),
        line(1, [arguments], [" "], scored, filter="loose", filtered_resps=[" "], target="5"),
    ]
    run = imported(write_lm_eval_log(tmp_path / "log", {"sums": samples}), tmp_path / "runs")
    first, second = lines_of(run)
    assert first["completions"] == ["It is 4.\n"]
    assert first["answer"] == "4"
    assert first["target"] == "4"
    assert first["scores"] == {"exact_match,strict": 1.0, "exact_match,loose": 1.0}
    sampling = first["repeats"][0]["calls"][0]["sampling"]
    assert (sampling["max_tokens"], sampling["temperature"], sampling["stop"]) == (8, 0.0, ["\n"])
    assert second["scores"]["exact_match,strict"] == 0.0
    assert second["flags"] == ["unparsed", "empty"]
    assert second["repeats"][0]["why"] == "lm-eval's filters found nothing"


def test_perplexities_are_computed_again(tmp_path: Path) -> None:
    pages = [
        line(0, [("a b c",)], ["-6.0"], {"word_perplexity": [-6.0, 3], "bits_per_byte": [-6.0, 5]}),
        line(1, [("d",)], ["-1.0"], {"word_perplexity": [-1.0, 1], "bits_per_byte": [-1.0, 1]}),
    ]
    words = [line(2, [("To be or", " not")], [["-0.5", "True"]], {"perplexity": -0.5, "acc": 1}, target=" not")]
    log = write_lm_eval_log(
        tmp_path / "log",
        {"pages": pages, "words": words},
        configs={
            "pages": {"output_type": "loglikelihood_rolling"},
            "words": {"output_type": "loglikelihood", "metric_list": [{"metric": "perplexity"}, {"metric": "acc"}]},
        },
        results={"pages": {"word_perplexity,none": math.exp(7 / 4), "bits_per_byte,none": 7 / 6 / math.log(2)}},
    )
    said("import", "lm-eval", log, "--to", tmp_path / "runs").done()
    runs = {run.record.task: run for run in find_runs(tmp_path / "runs")}
    results = runs["pages"].results
    assert results is not None
    assert results.scores["word_perplexity"].value == pytest.approx(math.exp(7 / 4))
    assert results.scores["word_perplexity"].higher_is_better is False
    assert results.scores["bits_per_byte"].value == pytest.approx(7 / 6 / math.log(2))
    assert lines_of(runs["pages"])[0]["units"] == {"words": 3, "bytes": 5}
    words_results = runs["words"].results
    assert words_results is not None
    assert words_results.scores["perplexity"].value == pytest.approx(math.exp(0.5))
    assert words_results.scores["acc"].value == 1.0


def test_a_metric_over_the_corpus_is_left_out_and_told(tmp_path: Path) -> None:
    samples = [dict(each, metrics=["acc", "f1"], f1=[0, 1]) for each in CHOICES]
    config = {**CHOICE_TASK, "metric_list": [{"metric": "acc"}, {"metric": "f1", "aggregation": "f1"}]}
    log = write_lm_eval_log(
        tmp_path / "log", {"colours": samples}, configs={"colours": config},
        results={"colours": {"acc,none": 1 / 3, "f1,none": 0.25}},
    )  # fmt: skip
    run = imported(log, tmp_path / "runs")
    assert run.results is not None
    assert list(run.results.scores) == ["acc"]
    assert "f1 has no number a sample, so it is left out (lm-eval reports 0.25)" in str(run.results.note)


def test_an_aggregate_that_is_not_its_samples_is_told(tmp_path: Path) -> None:
    log = write_lm_eval_log(
        tmp_path / "log", {"colours": CHOICES}, configs={"colours": CHOICE_TASK},
        results={"colours": {"acc,none": 0.9}},
    )  # fmt: skip
    run = imported(log, tmp_path / "runs")
    assert run.results is not None
    assert "its samples come to 0.333333, where lm-eval reports 0.9" in str(run.results.note)


def test_choices_in_the_question_are_found(tmp_path: Path) -> None:
    asked = [("The cat sat, for the cat", " was tired."), ("The cat sat, for the mat", " was tired.")]
    said_ = [["-4.0", "False"], ["-6.0", "False"]]
    log = write_lm_eval_log(
        tmp_path / "log",
        {"pronouns": [line(0, asked, said_, {"acc": 1.0}, target="was tired.")]},
        configs={"pronouns": CHOICE_TASK},
    )
    (kept,) = lines_of(imported(log, tmp_path / "runs"))
    assert kept["choices"] == ["cat", "mat"]
    assert [call["prompt"] for call in kept["repeats"][0]["calls"]] == [context for context, _ in asked]


# --------------------------------------------------------------------------- what reads it


@pytest.fixture
def two(tmp_path: Path) -> tuple[Run, Run]:
    """The same task of two models."""
    better = [choice(0, [-1.0, -2.0], 0, acc=1.0), choice(1, [-0.5, -0.75], 0, acc=1.0), CHOICES[2]]
    for name, samples in (("a", CHOICES), ("b", better)):
        log = write_lm_eval_log(
            tmp_path / name, {"colours": samples}, configs={"colours": CHOICE_TASK}, more={"model_name": f"m/{name}"}
        )
        said("import", "lm-eval", log, "--to", tmp_path / "runs").done()
    first, second = sorted(find_runs(tmp_path / "runs"), key=lambda run: str(run.path))
    return first, second


def test_comparisons_and_gates_read_what_was_imported(two: tuple[Run, Run], tmp_path: Path) -> None:
    first, second = two
    assert first.record.hashes["protocol"] == second.record.hashes["protocol"]
    assert "colours" in said("compare", first.path, second.path).done().out
    said("baseline", "save", first.path, "--to", tmp_path / "baselines").done()
    gate = tmp_path / "own.yaml"
    gate.write_text("gate: own\ntasks:\n  - {task: colours, margin: 0.03}\n")
    arguments = ["check", "--gate", gate, "--candidate", second.path, "--baseline"]
    assert said(*arguments, first.path).code == said(*arguments, tmp_path / "baselines").code == 0


def test_pages_and_tables_read_what_was_imported(two: tuple[Run, Run], tmp_path: Path) -> None:
    from evalharness.viewer.routes import Viewer

    first, second = two
    said("report", first.path, second.path, "--output", tmp_path / "page.html").done()
    assert "m/a" in (tmp_path / "page.html").read_text()
    assert "colours" in said("runs", tmp_path / "runs").done().out
    assert "Colour 1 is" in said("inspect", first.path, "--wrong").done().out
    board = {
        "leaderboard": "own", "title": "Own", "columns": [{"name": "Colours", "task": "colours", "metric": "acc"}],
        "models": [{"name": "m/a"}, {"name": "m/b"}],
    }  # fmt: skip
    (tmp_path / "own.yaml").write_text(json.dumps(board))
    said("leaderboard", "build", tmp_path / "own.yaml", "--runs", tmp_path / "runs").done()
    assert "m/b" in (tmp_path / "own" / "leaderboard.md").read_text()
    viewer = Viewer(tmp_path / "runs")
    assert "m/b" in viewer.answer("/").text
    assert "Colour" in viewer.answer(f"/sample?run={first.path.name}&id=1").text


def test_runs_of_other_prompts_do_not_compare(tmp_path: Path) -> None:
    asked, said_ = [("Which?", " red"), ("Which?", " blue")], [["-1", "True"], ["-2", "False"]]
    other = [line(each["doc_id"], asked, said_, {"acc": 1.0}, doc_hash=each["doc_hash"]) for each in CHOICES]
    for name, samples in (("a", CHOICES), ("b", other)):
        log = write_lm_eval_log(tmp_path / name, {"colours": samples}, configs={"colours": CHOICE_TASK})
        said("import", "lm-eval", log, "--to", tmp_path / f"runs-{name}").done()
    (first,), (second,) = find_runs(tmp_path / "runs-a"), find_runs(tmp_path / "runs-b")
    told = "the hash of the protocol (foreign:lm-eval and foreign:lm-eval)"
    said("compare", first.path, second.path).refused(3, told)


def test_scoring_again_names_the_task_that_is_missing(tmp_path: Path) -> None:
    run = imported(write_lm_eval_log(tmp_path / "log", {"colours": CHOICES}), tmp_path / "runs")
    said("rescore", run.path).refused(64, "unknown task 'colours'")


def test_a_log_becomes_a_run_once(tmp_path: Path) -> None:
    log = write_lm_eval_log(tmp_path / "log", {"colours": CHOICES, "shades": CHOICES})
    imported(log, tmp_path / "runs", "--task", "shades")
    said("import", "lm-eval", log, "--to", tmp_path / "runs").refused(64, "there already")
    assert len(find_runs(tmp_path / "runs")) == 1


def test_places_that_are_named_wrongly(tmp_path: Path) -> None:
    log = write_lm_eval_log(tmp_path / "log", {"arc_easy": CHOICES})
    for option in ("--data-dir", "--include"):
        said("import", "lm-eval", log, option, tmp_path / "none").refused(
            64, f"{option} {tmp_path}/none: no such folder"
        )
    (tmp_path / "file").write_text("")
    said("import", "lm-eval", log, "--to", tmp_path / "file").refused(74, "cannot be written")


def test_no_secret_is_kept(tmp_path: Path) -> None:
    config = {"model": "openai-completions", "model_args": {"model": "x", "api_key": "sk-abcdefgh12345678"}}
    log = write_lm_eval_log(tmp_path / "log", {"colours": CHOICES}, more={"config": config})
    run = imported(log, tmp_path / "runs")
    assert "abcdefgh12345678" not in (run.path / "run.json").read_text()


# --------------------------------------------------------------------------- what is refused


def test_a_folder_without_results(tmp_path: Path) -> None:
    said("import", "lm-eval", tmp_path).refused(64, "no results of lm-eval are here (no results_*.json)")
    said("import", "lm-eval", tmp_path / "none").refused(64, "no such folder", "--output_path")


def test_results_without_samples(tmp_path: Path) -> None:
    log = write_lm_eval_log(tmp_path, {"colours": CHOICES})
    next(log.rglob("samples_*.jsonl")).unlink()
    said("import", "lm-eval", log).refused(65, "run lm-eval with --log_samples")


def test_torn_results(tmp_path: Path) -> None:
    log = write_lm_eval_log(tmp_path, {"colours": CHOICES})
    path = next(log.rglob("results_*.json"))
    path.write_text(path.read_text()[:200])
    said("import", "lm-eval", log).refused(65, str(path), "not valid JSON")


def test_torn_samples(tmp_path: Path) -> None:
    log = write_lm_eval_log(tmp_path, {"colours": CHOICES})
    path = next(log.rglob("samples_*.jsonl"))
    path.write_text(path.read_text()[:-40])
    said("import", "lm-eval", log).refused(65, str(path), "line 3 is no whole JSON object")


@pytest.mark.parametrize("resps", [[["no number"]], [[]], [[["x", "True"]]], [[None]]])
def test_samples_without_log_likelihoods(tmp_path: Path, resps: Any) -> None:
    samples = [dict(CHOICES[0], resps=resps * 2)]
    log = write_lm_eval_log(tmp_path, {"colours": samples}, configs={"colours": CHOICE_TASK})
    said("import", "lm-eval", log).refused(65, "document 0 has no log-likelihoods")


@pytest.mark.parametrize("key", ["doc_id", "arguments", "resps", "filter", "metrics"])
def test_samples_without_a_key(tmp_path: Path, key: str) -> None:
    samples = [{name: value for name, value in CHOICES[0].items() if name != key}]
    log = write_lm_eval_log(tmp_path, {"colours": samples})
    said("import", "lm-eval", log).refused(65, f"line 1 has no key '{key}'")


def test_a_document_that_stands_there_twice(tmp_path: Path) -> None:
    log = write_lm_eval_log(tmp_path, {"colours": [*CHOICES, CHOICES[0]]})
    said("import", "lm-eval", log).refused(65, "document 0 stands there twice under the filter 'none'")


def test_a_newer_lm_eval(tmp_path: Path) -> None:
    log = write_lm_eval_log(tmp_path, {"colours": CHOICES}, version="0.5.0")
    said("import", "lm-eval", log).refused(65, "written by lm-eval 0.5.0", "knows 0.4")


def test_values_of_another_shape(tmp_path: Path) -> None:
    log = write_lm_eval_log(tmp_path, {"colours": [dict(CHOICES[0], arguments={"gen_args_0": 5})]})
    said("import", "lm-eval", log).refused(65, "has arguments of another shape")


def test_of_two_results_files_the_newest_is_read(tmp_path: Path) -> None:
    write_lm_eval_log(tmp_path / "log", {"colours": CHOICES}, time="2026-11-19T10-11-12.131415")
    later = [dict(each, acc=1.0) for each in CHOICES]
    write_lm_eval_log(tmp_path / "log", {"colours": later})
    told = said("import", "lm-eval", tmp_path / "log", "--to", tmp_path / "runs").done()
    assert f"holds 2 results files; the newest is read, results_{TIME}.json" in told.err
    (run,) = find_runs(tmp_path / "runs")
    assert run.results is not None
    assert run.results.scores["acc"].value == 1.0


def test_a_results_file_can_be_named(tmp_path: Path) -> None:
    folder = next(write_lm_eval_log(tmp_path / "log", {"colours": CHOICES}).iterdir())
    path = folder / f"results_{TIME}.json"
    assert imported(path, tmp_path / "runs").record.task == "colours"
    mine = path.rename(folder / f"mine_{TIME}.json")
    said("import", "lm-eval", folder).refused(64, "no results_*.json", "or the results file itself")
    assert imported(mine, tmp_path / "more").record.task == "colours"


def test_tasks_can_be_chosen(tmp_path: Path) -> None:
    log = write_lm_eval_log(tmp_path / "log", {"colours": CHOICES, "shades": CHOICES})
    run = imported(log, tmp_path / "runs", "--task", "shades")
    assert read_run(run.path).record.task == "shades"
    said("import", "lm-eval", log, "--task", "sounds").refused(64, "--task sounds: no samples of it are in")


def test_json_output(tmp_path: Path) -> None:
    log = write_lm_eval_log(tmp_path / "log", {"colours": CHOICES})
    (told,) = json.loads(said("import", "lm-eval", log, "--to", tmp_path / "runs", "--json").done().out)
    assert told["task"] == "colours"
    assert told["scores"]["acc"]["n"] == 3


def test_a_group_has_no_run_of_its_own(tmp_path: Path) -> None:
    log = write_lm_eval_log(tmp_path, {"colours": CHOICES})
    path = next(log.rglob("results_*.json"))
    file = json.loads(path.read_text())
    file["results"]["all_colours"] = {"alias": "all", "acc,none": 0.3}
    path.write_text(json.dumps(file))
    found = read_results(log)
    assert [task.name for task in found.tasks] == ["colours"]
    assert run_of(found.tasks[0]).record.task == "colours"
