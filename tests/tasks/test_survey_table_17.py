"""The survey's simple and designed prompts stand side by side, and differ in their words alone."""

from __future__ import annotations

import pytest

from evalharness.tasks.definition import SuiteDefinition
from evalharness.tasks.protocol_hash import protocol_facts
from evalharness.tasks.task import load_task, suites_in

TASKS = (
    "wmt22", "xsum", "arc_challenge", "openbookqa", "bigbench_qa_wikidata", "reasoning_about_colored_objects", "gsm8k",
)  # fmt: skip


def _suite() -> SuiteDefinition:
    (suite,) = suites_in(["survey_table_17"], ())
    return suite


def test_every_task_is_there_twice() -> None:
    columns = [column for _, column in _suite().columns if column.task]
    assert [(column.task, column.protocol) for column in columns] == [
        (task, protocol) for task in TASKS for protocol in ("simple", "designed")
    ]
    assert [column.metric for column in columns[::2]] == [column.metric for column in columns[1::2]]


@pytest.mark.parametrize("name", [name for name in TASKS if name != "gsm8k"])
def test_only_the_words_differ(name: str) -> None:
    simple, designed = (
        protocol_facts(load_task(name, protocol=protocol), chat=False, system_prompt=None)
        for protocol in ("simple", "designed")
    )
    assert simple["documents"] != designed["documents"]
    assert {key for key in simple if simple[key] != designed[key]} == {"documents"}


def test_the_designed_words_are_more() -> None:
    for name in TASKS:
        simple, designed = (load_task(name, protocol=protocol).definition.prompt for protocol in ("simple", "designed"))
        assert len(designed.description + designed.question) > len(simple.description + simple.question)


def test_gsm8k_is_asked_for_a_program_with_the_same_examples() -> None:
    simple, designed = (load_task("gsm8k", protocol=protocol) for protocol in ("simple", "designed"))
    assert (simple.method.executes, designed.method.executes) == (False, True)
    assert simple.definition.demonstrations == designed.definition.demonstrations
    for row in designed.definition.demonstrations.rows or ():
        namespace: dict[str, object] = {}
        exec(row["solution"], namespace)  # our own programs
        assert str(namespace["solution"]()) == row["answer"].rpartition("#### ")[2]  # type: ignore[operator]
