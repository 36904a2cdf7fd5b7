"""A run of a method that loops: its corpus is loaded first and part of what compares, its steps are in the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.rows import write_rows

import evalharness
from evalharness.comparison.pairing import obstacles
from evalharness.data.sources import MissingDataError
from evalharness.errors import UsageError
from evalharness.records.folder import Run
from evalharness.records.scores import scores_of_run
from evalharness.run.dry_run import dry_run
from evalharness.run.options import RunOptions
from evalharness.run.rescore import rescore

ROWS = [{"question": f"Where does ferry {n} land?", "answer": f"Lund {n}"} for n in range(3)]
PASSAGES = [{"text": f"Ferry {n} is old. It lands at Lund {n}."} for n in range(3)]
TURNS = [
    " I search.\nAction 1: Search[ferry {n}]",
    " I look.\nAction 2: Lookup[lands]",
    " So.\nAction 3: Finish[Lund {n}]",
]


@pytest.fixture
def task(tmp_path: Path) -> Path:
    definition = {
        "name": "ferries",
        "data": {"file": "rows.jsonl"},
        "prompt": {"question": "Question: {{ question }}\n", "delimiter": ""},
        "target": "{{ answer }}",
        "elicitation": {
            "method": "react",
            "steps": 4,
            "tools": [
                {"tool": "search", "corpus": {"sources": [{"data": {"file": "passages.jsonl"}, "text": "text"}]}},
                "lookup",
            ],
        },
        "decode": {"max_tokens": 20},
        "metrics": ["exact_match", "finished", "steps", "bad_calls", "tool_uses"],
    }
    write_rows(tmp_path / "rows.jsonl", ROWS)
    write_rows(tmp_path / "passages.jsonl", PASSAGES)
    (tmp_path / "ferries.yaml").write_text(yaml.safe_dump(definition), encoding="utf-8")
    return tmp_path / "ferries.yaml"


def run(task: Path, folder: str, **options: Any) -> Run:
    """The second sample writes nothing at all."""
    said = [[turn.format(n=n) for turn in TURNS] if n != 1 else [""] * 8 for n in range(3)]
    lines = [{"id": str(n), "completions": texts} for n, texts in enumerate(said)]
    file = write_rows(task.parent / "said.jsonl", lines)
    return evalharness.evaluate(task, model=f"replay:{file}", output=task.parent / folder, **options)


def values(run: Run) -> dict[str, float | None]:
    assert run.results is not None
    return {name: score.value for name, score in run.results.scores.items()}


def test_steps_are_recorded_and_counted(task: Path) -> None:
    done = run(task, "run")
    assert values(done) == pytest.approx(
        {"exact_match": 2 / 3, "finished": 2 / 3, "steps": 10 / 3, "bad_calls": 4 / 3, "tool_uses": 4 / 3}
    )
    lines = {line["id"]: line for line in done.lines()}
    first, silent = lines["0"], lines["1"]
    (repeat,) = first["repeats"]
    assert repeat["steps"] == [
        {"thought": "I search.", "action": "Search[ferry 0]", "observation": "Ferry 0 is old. It lands at Lund 0.."},
        {"thought": "I look.", "action": "Lookup[lands]", "observation": "(Result 1 / 1) It lands at Lund 0.."},
        {"thought": "So.", "action": "Finish[Lund 0]", "status": "finished"},
    ]
    assert [use["step"] for use in repeat["tool_uses"]] == [1, 2]
    assert silent["flags"] == ["unparsed", "empty"]
    assert {step["again"] for step in silent["repeats"][0]["steps"]} == {"nothing was written"}


def test_another_corpus_is_another_protocol(task: Path) -> None:
    one = run(task, "one")
    write_rows(task.parent / "passages.jsonl", PASSAGES[:2])
    two = run(task, "two")
    assert one.record.hashes["corpus"] != two.record.hashes["corpus"]
    assert one.record.data[0]["corpus"]["passages"] == 3
    assert one.record.hashes["content"] == two.record.hashes["content"]
    (found,) = obstacles(scores_of_run(one), scores_of_run(two))
    assert found.startswith("the hash of the protocol")


def test_where_a_corpus_lies_does_not_count(task: Path) -> None:
    one = run(task, "one")
    (task.parent / "passages.jsonl").rename(task.parent / "elsewhere.jsonl")
    task.write_text(task.read_text(encoding="utf-8").replace("passages.jsonl", "elsewhere.jsonl"), encoding="utf-8")
    assert run(task, "two").record.hashes["protocol"] == one.record.hashes["protocol"]


def test_a_corpus_that_is_nowhere_is_a_sentence_before_anything_is_asked(task: Path) -> None:
    nowhere = {"published": {"path": "pages.jsonl", "url": "http://127.0.0.1:9/pages.jsonl"}}
    tools = [{"tool": "search", "corpus": {"sources": [{"data": nowhere, "text": "text"}]}}]
    with pytest.raises(MissingDataError, match=r"^ferries: the corpus of elicitation\.tools is not complete: "):
        run(task, "run", set={"elicitation": {"tools": tools}})
    assert not (task.parent / "run").exists()


def test_rescoring_needs_neither_model_nor_corpus(task: Path) -> None:
    done = run(task, "run")
    (task.parent / "passages.jsonl").unlink()
    again = rescore(done, task.parent / "again")
    assert again.changes == ()
    assert again.run.record.hashes == done.record.hashes
    assert list(again.run.lines()) == list(done.lines())


def test_a_dry_run_counts_the_longest_loop(task: Path) -> None:
    file = write_rows(task.parent / "none.jsonl", [{"id": "0", "completions": ["so"]}])
    (estimate,) = dry_run(RunOptions(task=(str(task),), model=(f"replay:{file}",)))
    assert (estimate.requests, estimate.loops) == (3 * 4 * 2, True)


def test_a_metric_of_steps_under_a_method_without_any(task: Path) -> None:
    with pytest.raises(UsageError, match=r"the metric [a-z_]+ reads steps, which the method direct does not bring"):
        run(task, "run", method="direct")
