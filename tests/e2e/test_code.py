"""Code benchmarks from completion to table: programs are judged, recorded, scored again and gone on with."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from e2e.command import said
from e2e.rows import write_rows

import evalharness
from evalharness.records.folder import Run, read_run
from evalharness.records.sample import SampleRecord
from evalharness.sandbox.outcome import Outcome
from evalharness.sandbox.pool import Pool

RIGHT, WRONG = "    return x * x\n", "    return x + x\n"
LOOPING, CRASHING = "    while True:\n        pass\n", "    import os\n    os.kill(os.getpid(), 11)\n"
FULL = "    return [0] * (1 << 40)\n"
LABELS = {RIGHT: "pass", WRONG: "fail", LOOPING: "timeout", CRASHING: "error", "": "error", FULL: "memory"}
TASK = """
name: squares
data: {file: squares.jsonl, id: key}
prompt: {question: "{{ head }}", delimiter: ""}
target: "{{ body }}"
decode: {max_tokens: 32}
answer: {parser: code, form: completion}
judging:
  - judge: execution
    program: "{{ head }}{{ answer }}"
    tests: "for x in {{ inputs }}: assert {{ name }}(x) == x ** 2"
    calls: "{{ [name] }}"
    reference: "{{ head }}{{ body }}"
    seconds: 1
metrics:
  - {metric: passes, label: pass@1}
"""


def task(folder: Path, count: int = len(LABELS), more: str = "") -> Path:
    rows = [
        {"key": f"s{n}", "head": f"def square_{n}(x):\n", "body": RIGHT, "inputs": [n, -2, 3], "name": f"square_{n}"}
        for n in range(count)
    ]
    write_rows(folder / "squares.jsonl", rows)
    (folder / "squares.yaml").write_text(TASK + more)
    return folder / "squares.yaml"


def answers(folder: Path, *texts: Any, name: str = "said.jsonl") -> str:
    """A file to replay: each sample's completions, one a repeat."""
    lines = [{"index": n, "completions": [text] if isinstance(text, str) else text} for n, text in enumerate(texts)]
    return f"replay:{write_rows(folder / name, lines)}"


def verdicts(run: Run) -> dict[str, list[dict[str, Any]]]:
    return {line["id"]: [v for repeat in line["repeats"] for v in repeat["verdicts"]] for line in run.lines()}


def test_programs_of_every_kind(here: Path) -> None:
    told = said("run", "--task", task(here), "--model", answers(here, *LABELS), "--output", "run").done()
    run = read_run(here / "run")
    found = verdicts(run)
    assert [found[f"s{n}"][0]["label"] for n in range(len(LABELS))] == list(LABELS.values())
    assert "pass@1  0.1667" in told.out
    assert "  execution: error 2   " in told.out
    assert run.results is not None
    assert run.results.verdicts == {"execution": dict(Counter(LABELS.values()))}
    assert run.results.counts["unparsed"] == run.results.counts["empty"] == 1
    assert run.record.sandbox is not None
    right, wrong = found["s0"][0], found["s1"][0]
    assert right["details"]["program"] == "def square_0(x):\n" + RIGHT
    assert right["details"]["level"] == run.record.sandbox["level"]
    assert wrong["explanation"].endswith("the last call returned 2")
    for line in run.lines():
        SampleRecord.model_validate(line)


def test_scored_again_without_executing_anything(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said("run", "--task", task(here), "--model", answers(here, *LABELS), "--output", "run").done()

    async def refuse(*_: Any, **__: Any) -> Outcome:
        raise AssertionError("something is executed")

    monkeypatch.setattr(Pool, "test", refuse)
    told = said("rescore", "run").done()
    assert f"0 of {len(LABELS)} samples changed" in told.out
    old, new = read_run(here / "run"), read_run(here / "run-rescored")
    assert verdicts(new) == verdicts(old)
    assert new.record.sandbox == old.record.sandbox
    (here / "squares.yaml").write_text(TASK.replace("x ** 2", "x ** 3"))
    said("rescore", "run", "--output", "other").refused(
        64, "the section 'judging' of squares has changed", "--task squares --model replay:run"
    )


def test_a_journal_is_a_replay_that_is_judged_anew(here: Path) -> None:
    said("run", "--task", task(here), "--model", answers(here, *LABELS), "--output", "run").done()
    said("run", "--task", "squares.yaml", "--model", "replay:run", "--output", "again").done()
    first, again = read_run(here / "run"), read_run(here / "again")
    assert first.results is not None
    assert again.results is not None
    assert again.results.scores == first.results.scores
    assert again.results.verdicts == first.results.verdicts


def test_pass_at_k_of_repeats(here: Path) -> None:
    """Of 4 programs c are right: pass@1 is c / 4, and pass@2 1 - C(4 - c, 2) / C(4, 2)."""
    metrics = "  - {metric: passes, label: pass@2, reducer: pass@2}\nrepeats: 4\n"
    drawn = [[RIGHT] * right + [WRONG] * (4 - right) for right in range(5)]
    path = task(here, 5, metrics)
    run = evalharness.evaluate(path, model=answers(here, *drawn), output=here / "run")
    assert run.results is not None
    scores = run.results.scores
    assert [line["scores"] for line in sorted(run.lines(), key=lambda line: str(line["id"]))] == [
        {"pass@1": right / 4, "pass@2": pytest.approx(value)}
        for right, value in enumerate([0.0, 1 / 2, 5 / 6, 1.0, 1.0])
    ]
    assert scores["pass@1"].value == pytest.approx(0.5)
    assert scores["pass@1"].repeats is not None
    assert scores["pass@1"].repeats.pass_at[1] == pytest.approx(scores["pass@2"].value)
    assert scores["pass@2"].repeats is None
    assert run.results.verdicts == {"execution": {"pass": 10, "fail": 10}}


def test_a_box_that_fails_fails_the_sample_which_is_asked_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = Pool.test

    async def broken(pool: Pool, source: str, **options: Any) -> Outcome:
        if "square_2" in source:
            return Outcome(status="sandbox_error", explanation="no more processes")
        return await test(pool, source, **options)

    path, model = task(here, 4), answers(here, RIGHT, RIGHT, RIGHT, WRONG)
    arguments = ["run", "--task", path, "--model", model, "--output", "run", "--max-errors", "0.5"]
    with monkeypatch.context() as patched:
        patched.setattr(Pool, "test", broken)
        said(*arguments[:-2]).refused(4, "1 of 4 samples failed")
        assert "errored 1" in said(*arguments).done().out
    run = read_run(here / "run")
    (line,) = [line for line in run.lines() if line.get("error")]
    assert line["error"] == "squares: the sandbox failed, not the program: no more processes"
    assert (line["scores"], line["flags"]) == ({}, ["errored"])
    assert run.results is not None
    assert (run.results.scores["pass@1"].n, run.results.scores["pass@1"].value) == (3, pytest.approx(2 / 3))
    before = run.journal.read_bytes()
    said(*arguments).done()
    run = read_run(here / "run")
    assert run.journal.read_bytes().startswith(before)
    assert run.journal.read_bytes().count(b"\n") == before.count(b"\n") + 1
    assert run.results is not None
    assert run.results.counts["errored"] == 0
    assert run.results.scores["pass@1"].value == 0.75


def test_tests_of_the_task_that_cannot_be_rendered_fail_their_sample_alone(here: Path) -> None:
    path = task(here, 3)
    rows = [json.loads(line) for line in (here / "squares.jsonl").read_text().splitlines()]
    rows[1]["name"] = "no name"
    write_rows(here / "squares.jsonl", rows)
    told = said("run", "--task", path, "--model", answers(here, RIGHT, RIGHT, RIGHT), "--output", "run",
                "--max-errors", 1).done()  # fmt: skip
    assert "errored 1" in told.out
    errors = [line["error"] for line in read_run(here / "run").lines() if line.get("error")]
    assert len(errors) == 1
    assert "judging[0].calls: this field must yield a list of function names, not ['no name']." in errors[0]


def test_the_shipped_tasks_judge_their_own_examples(here: Path) -> None:
    """Every example of the two task files, right and wrong, in the form that each protocol reads."""
    from evalharness.tasks.files import read_yaml
    from evalharness.tasks.task import load_task

    for name, protocol in (
        ("humaneval", "default"),
        ("humaneval", "instruct"),
        ("mbpp", "default"),
        ("mbpp", "instruct"),
    ):
        definition = read_yaml(load_task(name).path)
        rows = definition["examples"]
        gold = "canonical_solution" if name == "humaneval" else "code"
        texts = [row[gold].replace("return", "return None and") if n == 0 else row[gold] for n, row in enumerate(rows)]
        if protocol == "instruct":
            heads = [row.get("prompt", "") for row in rows]
            texts = [f"Here:\n```python\n{head}{text}\n```\nDone." for head, text in zip(heads, texts, strict=True)]
        file = write_rows(here / f"{name}-{protocol}.jsonl", rows)
        run = evalharness.evaluate(
            name,
            model=answers(here, *texts, name=f"{name}-{protocol}-said.jsonl"),
            protocol=protocol,
            shots=0,
            set={"data": {"file": str(file)}},
            output=here / f"{name}-{protocol}",
        )
        labels = [found[0]["label"] for _, found in sorted(verdicts(run).items())]
        assert labels == ["fail", "pass", "pass"], (name, protocol, verdicts(run))
