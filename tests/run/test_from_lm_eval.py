"""A run of lm-eval has our hashes only where its prompts are ours, byte for byte; else a difference is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from e2e.command import said
from parity.lm_eval_oracle import Oracle, by_document, shared_oracle
from parity.ours import cell, write_split
from parity.rows import BENCHMARKS
from records.foreign.logs import line, write_lm_eval_log
from runs_for_tests import lines_of

from evalharness.records.folder import Run, find_runs
from evalharness.run.from_lm_eval import first_difference

pytest.importorskip("lm_eval", reason="needs lm-eval")


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return shared_oracle()


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """The parity tests' own rows as a mirror."""
    for benchmark in BENCHMARKS.values():
        write_split(tmp_path / "mirror", f"{benchmark.place}/{benchmark.split}", benchmark.rows)
        if benchmark.pool_split:
            write_split(tmp_path / "mirror", f"{benchmark.place}/{benchmark.pool_split}", benchmark.pool)
    return tmp_path / "mirror"


def logged(oracle: Oracle, name: str, folder: Path, *, change: str = "", shots: int | None = None) -> Path:
    """What lm-eval would log of a task on the parity tests' rows, with answers that are made up.

    Args:
        change: put in front of the first prompt.
        shots: in place of lm-eval's own number.
    """
    benchmark = BENCHMARKS[name]
    task = oracle.task(benchmark.lm_eval, benchmark.splits, shots)
    samples = []
    for instances in by_document(task):
        first = instances[0]
        requests = [[change + each.args[0], *each.args[1:]] if first.doc_id == 0 else each.args for each in instances]
        generates = task.OUTPUT_TYPE == "generate_until"
        totals = [-1.5 - 0.25 * ((first.doc_id + number) % len(instances)) for number in range(len(instances))]
        said = ["So it is.\n#### 5"] if generates else [(total, total == max(totals)) for total in totals]
        for instance, answer in zip(instances, said, strict=True):
            instance.resps, instance.filtered_resps = [answer], {}
        resps = [answer if isinstance(answer, str) else [str(answer[0]), str(answer[1])] for answer in said]
        samples.append((first, requests, resps))
    task.apply_filters()
    lines = []
    for first, requests, resps in samples:
        instances = [each for each in task.instances if each.doc_id == first.doc_id]
        for chain in first.filtered_resps:
            results = task.process_results(first.doc, [each.filtered_resps[chain] for each in instances])
            lines.append(
                line(first.doc_id, requests, resps, {key: float(value) for key, value in results.items()},
                     filter=chain, target=str(task.doc_to_target(first.doc)),
                     filtered_resps=[first.filtered_resps[chain]])
            )  # fmt: skip
    config: dict[str, Any] = {"output_type": task.OUTPUT_TYPE}
    return write_lm_eval_log(
        folder, {benchmark.lm_eval: lines}, configs={benchmark.lm_eval: config},
        more={"n-shot": {benchmark.lm_eval: benchmark.shots if shots is None else shots}},
    )  # fmt: skip


def imported(log: Path, to: Path, mirror: Path) -> Run:
    said("import", "lm-eval", log, "--to", to, "--data-dir", mirror).done()
    (run,) = find_runs(to)
    return run


@pytest.mark.parametrize("name", ["arc_easy", "mmlu/astronomy", "gsm8k", "hellaswag", "winogrande", "truthfulqa_mc2"])
def test_equal_prompts(oracle: Oracle, mirror: Path, tmp_path: Path, name: str) -> None:
    run = imported(logged(oracle, name, tmp_path / "log"), tmp_path / "runs", mirror)
    ours = cell(name, mirror, protocol="lm-eval")
    record = run.record
    assert record.task == name
    assert record.protocol == "lm-eval"
    assert {key: record.hashes[key] for key in ours.hashes} == dict(ours.hashes)
    assert [line["id"] for line in lines_of(run)] == [sample.id for sample in ours.samples]
    assert [line["content_hash"] for line in lines_of(run)] == [sample.content_hash for sample in ours.samples]
    assert run.results is not None
    assert f"{len(ours.samples)} prompts are ours byte for byte" in str(run.results.note)
    said("rescore", run.path, "--output", tmp_path / "again").done()


def test_one_other_character_makes_it_foreign(oracle: Oracle, mirror: Path, tmp_path: Path) -> None:
    run = imported(logged(oracle, "arc_easy", tmp_path / "log", change=" "), tmp_path / "runs", mirror)
    assert run.record.hashes["protocol"].startswith("foreign:lm-eval:")
    assert run.results is not None
    assert "arc_easy (lm-eval), sample own-0: the prompts of request 0 differ first at character 0" in str(
        run.results.note
    )


def changed(log: Path, change: Any) -> Path:
    path = next(log.rglob("samples_*.jsonl"))
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    for each in lines:
        change(each)
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return log


def _generation(**changes: Any) -> Any:
    return lambda each: each["arguments"]["gen_args_0"]["arg_1"].update(changes)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        (
            "arc_easy",
            lambda each: each["arguments"]["gen_args_1"].update(arg_1=" w0od"),
            "the continuations of request 1 differ first at character 2",
        ),
        ("arc_easy", lambda each: each.update(acc=1.0 - each["acc"]), "acc is"),
        ("arc_easy", lambda each: each.update(metrics=["acc"]), "lm-eval logged no metric acc_norm"),
        ("gsm8k", _generation(max_gen_toks=64), "decoding differs: max_tokens is 64 there and 256 here"),
        ("gsm8k", _generation(until=["Q"]), "decoding differs: stop is"),
    ],
)
def test_other_differences_are_named(
    oracle: Oracle, mirror: Path, tmp_path: Path, name: str, change: Any, told: str
) -> None:
    log = changed(logged(oracle, name, tmp_path / "log"), change)
    run = imported(log, tmp_path / "runs", mirror)
    assert run.record.protocol == "foreign:lm-eval"
    assert run.results is not None
    assert told in str(run.results.note)


def test_rows_that_are_not_at_hand(
    oracle: Oracle, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVALHARNESS_DATA", raising=False)
    log = logged(oracle, "arc_easy", tmp_path / "log")
    said("import", "lm-eval", log, "--to", tmp_path / "runs").done()
    (run,) = find_runs(tmp_path / "runs")
    assert run.results is not None
    assert "its rows are not at hand" in str(run.results.note)
    benchmark = BENCHMARKS["arc_easy"]
    write_split(mirror, f"{benchmark.place}/{benchmark.split}", benchmark.rows[1:], indices=[1, 2, 3, 4, 5], of=6)
    part = imported(log, tmp_path / "more", mirror)
    assert part.results is not None
    assert "1 of its 6 rows are not at hand, the first at position 0" in str(part.results.note)


def test_other_shots_are_our_option(oracle: Oracle, mirror: Path, tmp_path: Path) -> None:
    usual = imported(logged(oracle, "gsm8k", tmp_path / "usual"), tmp_path / "runs", mirror)
    assert "shots" not in usual.record.options
    run = imported(logged(oracle, "gsm8k", tmp_path / "log", shots=3), tmp_path / "others", mirror)
    assert run.record.options["shots"] == 3
    assert run.record.hashes["protocol"] == cell("gsm8k", mirror, protocol="lm-eval", shots=3).hashes["protocol"]
    file = next((tmp_path / "log").rglob("results_*.json"))
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "n-shot": {"gsm8k": 2}}))
    other = imported(tmp_path / "log", tmp_path / "wrong", mirror)
    assert "the prompts differ first at character" in str(other.results and other.results.note)


@pytest.mark.parametrize(
    ("one", "other", "place"), [("", "", None), ("ab", "ab", None), ("ab", "ac", 1), ("ab", "abc", 2), ("", "x", 0)]
)
def test_first_difference(one: str, other: str, place: int | None) -> None:
    assert first_difference(one, other) == place
