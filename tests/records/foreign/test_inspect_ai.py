"""A log of Inspect becomes a run; what is no such log is refused in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from e2e.command import said
from records.foreign.logs import answered, write_inspect_log
from runs_for_tests import lines_of

from evalharness.records.folder import Run, find_runs
from evalharness.records.foreign.inspect_ai import number_of


def imported(log: Path, to: Path) -> Run:
    said("import", "inspect", log, "--to", to).done()
    (run,) = find_runs(to)
    return run


def test_a_log_becomes_a_run(tmp_path: Path) -> None:
    log = write_inspect_log(tmp_path / "log.json", [answered("a", "Paris", "C"), answered("b", "Rome", "I")])
    run = imported(log, tmp_path / "runs")
    first, second = lines_of(run)
    assert first["id"] == "a"
    assert second["index"] == 1
    assert first["completions"] == ["Paris"]
    assert first["answer"] == "Paris"
    assert first["target"] == "Paris"
    (call,) = first["repeats"][0]["calls"]
    assert call["prompt"] == "The capital of a?"
    assert call["sampling"]["max_tokens"] == 16
    assert call["completions"][0]["finish_reason"] == "stop"
    results = run.results
    assert results is not None
    assert results.scores["match"].value == 0.5
    assert results.scores["match"].interval == "wilson"
    assert results.usage == {"requests": 2, "prompt_tokens": 30, "generated_tokens": 7}
    assert results.seconds == 3.0
    assert results.of == 5
    assert results.note is None
    record = run.record
    assert record.state == "finished"
    assert record.hashes["protocol"].startswith("foreign:inspect:")
    assert record.model["kind"] == "inspect:openai"
    assert "abcdefgh12345678" not in (run.path / "run.json").read_text()
    assert "capitals" in said("runs", tmp_path / "runs").done().out
    said("report", run.path, "--output", tmp_path / "page.html").done()


def test_epochs_are_repeats(tmp_path: Path) -> None:
    samples = [answered("a", text, value, epoch=epoch) for epoch, (text, value) in
               enumerate([("Paris", "C"), ("Rome", "I"), ("Paris", "C")], start=1)]  # fmt: skip
    samples += [answered("b", "Oslo", "I", epoch=epoch) for epoch in (1, 2, 3)]
    run = imported(write_inspect_log(tmp_path / "log.json", samples), tmp_path / "runs")
    first, _ = lines_of(run)
    assert [repeat["scores"]["match"] for repeat in first["repeats"]] == [1.0, 0.0, 1.0]
    assert first["scores"]["match"] == pytest.approx(2 / 3)
    assert first["answer"] == "Paris"
    assert run.results is not None
    assert run.results.scores["match"].repeats is not None


def test_the_logs_own_reduction_counts(tmp_path: Path) -> None:
    samples = [answered("a", "Paris", value, epoch=epoch) for epoch, value in enumerate("CIC", start=1)]
    reduced = [{"scorer": "match", "reducer": "max", "samples": [{"sample_id": "a", "value": 1.0}]}]
    log = write_inspect_log(tmp_path / "log.json", samples, reductions=reduced)
    (line,) = lines_of(imported(log, tmp_path / "runs"))
    assert line["scores"]["match"] == 1.0


def test_a_sample_that_failed_is_kept_as_failed(tmp_path: Path) -> None:
    failed = answered("b", "", "I", error={"message": "the server left"}, scores=None)
    log = write_inspect_log(tmp_path / "log.json", [answered("a", "Paris", 1), failed])
    run = imported(log, tmp_path / "runs")
    line = lines_of(run)[1]
    assert line["error"] == "the server left"
    assert line["flags"] == ["errored"]
    assert run.results is not None
    assert run.results.scores["match"].n == 1
    assert "its samples come to 1, where Inspect reports 0.5" in str(run.results.note)


def test_messages_choices_and_thoughts(tmp_path: Path) -> None:
    said_ = {
        "role": "assistant",
        "content": [{"type": "reasoning", "reasoning": "Think."}, {"type": "text", "text": "attachment://77"}],
        "tool_calls": [{"id": "1", "function": "look", "arguments": {"at": "map"}}],
    }
    sample = answered(
        "a", "x", {"right": 1, "kind": "C"},
        input=[{"role": "system", "content": "Be short."}, {"role": "user", "content": "Which?"}],
        messages=[{"role": "system", "content": "Be short."}, {"role": "user", "content": "Which?"}, said_],
        output={"choices": [{"message": said_, "stop_reason": "max_tokens"}]},
        choices=["Rome", "Paris"], target="B", attachments={"77": "A long answer."},
    )  # fmt: skip
    run = imported(write_inspect_log(tmp_path / "log.json", [sample]), tmp_path / "runs")
    (line,) = lines_of(run)
    assert line["target"] == 1
    assert line["choices"] == ["Rome", "Paris"]
    assert line["flags"] == ["truncated"]
    assert line["scores"] == {"match/right": 1.0, "match/kind": 1.0}
    (call,) = line["repeats"][0]["calls"]
    assert call["prompt"] == "[system]\nBe short.\n\n[user]\nWhich?"
    (completion,) = call["completions"]
    assert completion["text"] == "A long answer."
    assert completion["reasoning"] == "Think."
    assert completion["tool_calls"] == [{"name": "look", "arguments": {"at": "map"}}]


@pytest.mark.parametrize(
    ("value", "number"),
    [("C", 1.0), ("P", 0.5), ("I", 0.0), ("N", 0.0), (True, 1.0), (3, 3.0), ("0.25", 0.25), ("yes", 1.0), ("No", 0.0),
     ("blue", None), (None, None), (float("nan"), None)],
)  # fmt: skip
def test_values_are_read_as_inspect_reads_them(value: Any, number: float | None) -> None:
    assert number_of(value) == number


def test_two_models_of_one_task_compare(tmp_path: Path) -> None:
    for name, values in (("one", "CI"), ("two", "CC")):
        samples = [answered(id, "Paris", value) for id, value in zip("ab", values, strict=True)]
        log = write_inspect_log(tmp_path / f"{name}.json", samples)
        log.write_text(log.read_text().replace("openai/made-up", f"openai/{name}"))
        said("import", "inspect", log, "--to", tmp_path / "runs").done()
    one, two = sorted(find_runs(tmp_path / "runs"), key=lambda run: run.path.name)
    assert "match" in said("compare", one.path, two.path).done().out


def test_the_form_of_zip_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.eval"
    log.write_bytes(b"PK\x03\x04rest")
    said("import", "inspect", log).refused(65, "inspect log convert", "--to json")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    log = write_inspect_log(tmp_path / "log.json", [answered("a", "Paris", "C")], version=3)
    said("import", "inspect", log).refused(65, "format 3 of Inspect's logs is newer than this evalharness knows (2)")


def test_what_is_no_log(tmp_path: Path) -> None:
    said("import", "inspect", tmp_path / "none.json").refused(64, "no such file")
    path = tmp_path / "log.json"
    path.write_text('{"version": 2, "eval": {"ta')
    said("import", "inspect", path).refused(65, "not valid JSON")
    path.write_text("[1, 2]")
    said("import", "inspect", path).refused(65, "one JSON object is expected")
    path.write_text('{"results": {}}')
    said("import", "inspect", path).refused(65, "no log of Inspect")


def test_a_log_without_samples(tmp_path: Path) -> None:
    log = write_inspect_log(tmp_path / "log.json", None, status="error", error={"message": "no key was given"})
    said("import", "inspect", log).refused(65, "holds no sample (it ended with 'no key was given')")


def test_a_log_of_another_shape(tmp_path: Path) -> None:
    log = write_inspect_log(tmp_path / "log.json", [{"id": "a", "output": "Paris"}])
    said("import", "inspect", log).refused(65, "not as format 2 of Inspect's logs says")
