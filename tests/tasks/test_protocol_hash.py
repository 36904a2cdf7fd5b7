"""Two scores compare where the protocol hash agrees, so it moves with the protocol and with nothing else.

``protocol_hashes.json`` pins the hash of every protocol of every shipped task. A change must be deliberate: raise
`version` in the task file, then write the table anew with

    EVALHARNESS_REGENERATE=1 python -m pytest tests/tasks/test_protocol_hash.py tests/tasks/test_golden_prompts.py
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalharness.registry import task_files
from evalharness.tasks.files import read_yaml
from evalharness.tasks.protocol_hash import protocol_facts, protocol_hash
from evalharness.tasks.task import load_task, protocol_names

TABLE = Path(__file__).parent / "protocol_hashes.json"
SHIPPED = sorted(name for name, path in task_files().items() if "suite" not in read_yaml(path))


def _pinned() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def _current(name: str) -> dict[str, Any]:
    task = load_task(name)
    hashes = {each: protocol_hash(load_task(name, protocol=each)) for each in protocol_names(task.path)}
    return {"version": task.definition.version, "protocols": hashes}


def _write(name: str, current: dict[str, Any]) -> None:
    """Put one task's entry into the table."""
    table = _pinned() if TABLE.exists() else {}
    TABLE.write_text(json.dumps(table | {name: current}, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_pinned(name: str) -> None:
    current = _current(name)
    if "EVALHARNESS_REGENERATE" in os.environ:
        _write(name, current)
    assert name in _pinned(), f"{name} is new: write the table anew (see the top of this file)"
    pinned = _pinned()[name]
    if current["version"] == pinned["version"]:
        for protocol, digest in pinned["protocols"].items():
            assert current["protocols"].get(protocol) == digest, (
                f"the protocol '{protocol}' of {name} changed, so its scores do not compare with earlier ones: "
                f"raise `version` in {name}.yaml and write the table anew, or take the change back"
            )
    assert current == pinned, f"{name} changed: write the table anew (see the top of this file)"


def test_no_task_is_left_over() -> None:
    assert sorted(_pinned()) == SHIPPED


# --------------------------------------------------------------------------- what moves it

JUDGE = {"judge": "execution", "tests": "assert f() == {{ answer }}", "calls": "{{ ['f'] }}"}

CHANGES: dict[str, dict[str, Any]] = {
    "template": {"prompt": {"template": "q_a"}},
    "question": {"prompt": {"question": "{{ question }}!"}},
    "answer of a demonstration": {"prompt": {"answer": "It is {{ answer }}."}},
    "prompt description": {"prompt": {"description": "Add.\n\n"}},
    "delimiter": {"prompt": {"delimiter": "\n"}},
    "separator": {"prompt": {"separator": "\n"}},
    "split rule": {"prompt": {"split_rule": "separate"}},
    "too long": {"prompt": {"too_long": "error"}},
    "answer trigger": {"prompt": {"answer_trigger": "So"}},
    "target": {"target": "{{ answer }}0"},
    "shots": {"demonstrations": {"shots": 3}},
    "no shots": {"demonstrations": {"shots": 0}},
    "shots beyond those rendered": {"demonstrations": {"shots": 4}},
    "policy": {"demonstrations": {"policy": "random"}},
    "sampler": {"demonstrations": {"policy": "lm_eval"}},
    "extra draw": {"demonstrations": {"policy": "lm_eval", "extra_draw": True}},
    "max tokens": {"decode": {"max_tokens": 33}},
    "temperature": {"decode": {"temperature": 0.5}},
    "stop": {"decode": {"stop": ["Question:", "\n\n"]}},
    "no stop": {"decode": {"stop": []}},
    "parser": {"answer": {"parser": "text"}},
    "parser option": {"answer": {"which": "first"}},
    "metric": {"metrics": ["f1"]},
    "metric option": {"metrics": [{"metric": "exact_match", "ignore_case": True}]},
    "tolerance": {"metrics": [{"metric": "exact_match", "tolerance": 0.1}]},
    "wider tolerance": {"metrics": [{"metric": "exact_match", "tolerance": 0.2}]},
    "tools": {"prompt": {"tools": "{{ [{'name': 'add'}] }}"}},
    "other tools": {"prompt": {"tools": "{{ [{'name': 'sum'}] }}"}},
    "second metric": {"metrics": ["exact_match", "f1"]},
    "method": {"elicitation": {"method": "chain_of_thought"}},
    "votes": {"elicitation": {"method": "self_consistency"}},
    "number of votes": {"elicitation": {"method": "self_consistency", "samples": 5}},
    "repeats": {"repeats": 2},
    "reducer": {"repeats": 2, "reducer": "majority"},
    "reducer of a metric": {"repeats": 2, "metrics": [{"metric": "exact_match", "reducer": "majority"}]},
    "judge": {"judging": [JUDGE]},
    "tests of a judge": {"judging": [JUDGE | {"tests": "assert f() == {{ answer }} + 1"}]},
    "calls of a judge": {"judging": [JUDGE | {"calls": "{{ ['g'] }}"}]},
    "time of a judge": {"judging": [JUDGE | {"seconds": 4}]},
}
"""Settings that are no two the same protocol."""


def test_every_change_of_the_protocol_has_its_own_hash(write: Any) -> None:
    path = write.own()
    task = load_task(path)
    hashes = {
        "unchanged": protocol_hash(task),
        "chat": protocol_hash(task, chat=True),
        "system prompt": protocol_hash(task, system_prompt="Be brief."),
        **{name: protocol_hash(load_task(path, changes=changes)) for name, changes in CHANGES.items()},
    }
    alike = [(one, other) for one in hashes for other in hashes if one < other and hashes[one] == hashes[other]]
    assert alike == []


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "Other words."},
        {"ability": "knowledge/own"},
        {"source": {"paper": "p", "license": "l", "columns_from": "c", "homepage": "h"}},
        {"data": {"hub": "a/b", "split": "validation", "id": "key", "rows": {"validation": 3}}},
        {"demonstrations": {"split": "train", "shots": 2}},
        {"known_defects": [{"what": "w", "link": "l"}]},
        {"protocols": {}},
        {"elicitation": {"method": "direct"}, "answer": {"which": "last", "parser": "number"}},
        {"judging": [], "metrics": [{"metric": "exact_match", "reducer": None}]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_prose_and_places_do_not_move_it(write: Any, changes: dict[str, Any]) -> None:
    before = protocol_hash(load_task(write.own()))
    assert protocol_hash(load_task(write.own(**changes))) == before


def test_the_name_and_folder_do_not_move_it(write: Any) -> None:
    assert protocol_hash(load_task(write.own())) == protocol_hash(load_task(write.own("other")))


def test_what_a_scored_task_never_uses_does_not_move_it() -> None:
    """Nothing is generated for a choice, so decoding is no part of its protocol."""
    task = load_task("arc_easy")
    changed = load_task("arc_easy", changes={"decode": {"max_tokens": 7}, "prompt": {"answer_trigger": "So"}})
    assert protocol_hash(task) == protocol_hash(changed)
    assert protocol_hash(task) != protocol_hash(load_task("arc_easy", changes={"prompt": {"split_rule": "separate"}}))


@pytest.mark.parametrize("kind", ["parser", "metric", "method"])
def test_a_declared_version_moves_it(write: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = load_task(write.own())
    before = protocol_hash(task)
    if kind == "method":
        monkeypatch.setitem(task.__dict__, "method", replace(task.method, version=99))
    else:
        component = task.parser if kind == "parser" else task.metrics[0]
        monkeypatch.setattr(type(component), "version", 99)
    assert protocol_hash(task) != before


def test_how_a_judges_templates_are_written_does_not_move_it(write: Any) -> None:
    one = write.own("one", judging=[JUDGE])
    other = write.own("other", judging=[JUDGE | {"calls": "{{ 'f' | list }}", "tests": "assert f() == {{answer}}"}])
    assert protocol_hash(load_task(one)) == protocol_hash(load_task(other))
    bare = [load_task(path, changes={"examples": []}) for path in (one, other)]
    assert protocol_hash(bare[0]) != protocol_hash(bare[1]), "without examples the templates themselves are hashed"


def test_the_facts_are_readable_json(write: Any) -> None:
    facts = protocol_facts(load_task(write.own()), chat=False, system_prompt=None)
    assert facts["documents"][0]["messages"][-1] == ["user", "Question: 1 + 1?\nAnswer:"]
    assert json.loads(json.dumps(facts))["shots"] == 2
