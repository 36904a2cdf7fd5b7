"""What a journal line shows of verdicts and tools, whatever stands in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from evidence_for_tests import PROGRAM, judged, loop_step, tool_use, verdict
from viewer.made import line

from evalharness.records.evidence import (
    Block,
    explanations_of,
    indented,
    judged_labels,
    kinds_of,
    labels_of,
    steps_of,
    tool_statuses,
    tool_uses_of,
    verdicts_of,
)


def test_a_verdict_shows_its_program_its_facts_and_what_was_printed() -> None:
    (shown,) = verdicts_of({"verdicts": [verdict("fail", in_box=True, stdout="out", stderr="err", tests=3)]})
    assert (shown.title, shown.label, shown.facts, shown.in_box) == ("execution", "fail", "bwrap, 0.031 s", True)
    assert shown.explanation == "AssertionError: assert add(2, 3) == 5"
    assert shown.blocks == (
        Block("Program", PROGRAM, "python"),
        Block("Output", "out", "text"),
        Block("Error output", "err", "text"),
        Block("Further details", '{\n "tests": 3\n}', "json"),
    )


def test_candidates_are_numbered_where_there_are_several() -> None:
    repeat = {"verdicts": [verdict("pass", candidate=place) for place in range(3)]}
    assert [shown.title for shown in verdicts_of(repeat)] == [f"execution, candidate {n}" for n in (1, 2, 3)]


def test_a_verdict_of_another_judge_needs_no_details() -> None:
    (shown,) = verdicts_of({"verdicts": [{"judge": "preference", "candidate": 0, "label": "tie"}]})
    assert (shown.title, shown.label, shown.facts, shown.blocks) == ("preference", "tie", "", ())


def test_a_judge_model_is_shown_with_what_it_said() -> None:
    asked = [
        {"template": "pair-v2", "prompt": "abc", "first": "candidate", "said": "Both err. [[A]]"},
        {"template": "pair-v2", "prompt": "def", "first": "other", "error": "the server is away."},
    ]
    details = {"model": "small", "asked": asked, "orders": ["win", None]}
    (shown,) = verdicts_of({"verdicts": [{"judge": "pairwise", "candidate": 0, "label": "error", "details": details}]})
    assert (shown.label, shown.facts) == ("error", "by small")
    assert shown.blocks == (
        Block("The judge's answer to pair-v2, candidate first", "Both err. [[A]]", "text"),
        Block("The judge failed, other first", "the server is away.", "text"),
        Block("Further details", '{\n "orders": [\n  "win",\n  null\n ]\n}', "json"),
    )
    weighed = {"model": "small", "asked": [{"log_likelihoods": {"m": -1}}], "preference": 0.625}
    rated = {"model": "small", "asked": [{"said": "[[7]]"}], "score": 7.0, "scale": [1, 10]}
    found = verdicts_of({"verdicts": [{"judge": "j", "label": "l", "details": each} for each in (weighed, rated)]})
    assert [each.facts for each in found] == ["by small, preference 0.625", "by small, score 7 of 1 to 10"]
    assert [each.blocks[0].title for each in found] == ["Log-likelihoods of the answers", "The judge's answer"]


def test_details_of_another_shape_are_no_error() -> None:
    details = {"asked": "me", "scale": ["a", 2], "score": 3}
    (shown,) = verdicts_of({"verdicts": [{"judge": "j", "label": "l", "details": details}]})
    assert (shown.facts, shown.blocks) == ("score 3", ())


def test_a_loop_is_shown_step_by_step() -> None:
    uses = [{**tool_use(code="6 * 3", level="bwrap"), "step": 2, "details": {"level": "bwrap", "seconds": 0.5}}]
    steps = [
        loop_step("Hm.", "think", observation="Invalid action: think", status="malformed", again="nothing was written"),
        loop_step("I add.", "Python[6 * 3]", observation="18"),
        loop_step("So.", "Finish[18]"),
    ]
    repeat = {"steps": steps, "tool_uses": uses}
    bad, used, last = steps_of(repeat)
    assert [shown.title for shown in (bad, used, last)] == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    assert [shown.label for shown in (bad, used, last)] == ["malformed", "ok", "finished"]
    assert bad.explanation == "asked again: nothing was written"
    assert used.facts == "bwrap, 0.5 s"
    assert used.blocks == (
        Block("Thought", "I add.", "text"),
        Block("Action", "Python[6 * 3]", "python"),
        Block("Observation", "18", "text"),
    )
    assert last.blocks == (Block("Thought", "So.", "text"), Block("Action", "Finish[18]", "text"))
    assert tool_uses_of(repeat) == []
    assert len(tool_uses_of({"tool_uses": uses})) == 1


def test_a_tool_use_shows_its_arguments_and_its_result() -> None:
    uses = [
        tool_use(program="print(1)\n", result="1"),
        tool_use("search", "nothing", "timeout", query="one\ntwo", most=3),
    ]
    first, second = tool_uses_of({"tool_uses": uses})
    assert (first.title, first.label) == ("python, use 1 of 2", "ok")
    assert first.blocks == (Block("Program", "print(1)\n", "python"), Block("Result", "1", "text"))
    assert (second.title, second.label) == ("search, use 2 of 2", "timeout")
    assert second.blocks == (
        Block("Query", "one\ntwo", "text"),
        Block("Arguments", '{\n "most": 3\n}', "json"),
        Block("Result", "nothing", "text"),
    )


def test_labels_and_statuses_are_in_order() -> None:
    made = judged(
        line("a"), [verdict("timeout"), verdict("pass", candidate=1)], [tool_use(), tool_use("web", status="down")]
    )
    made["repeats"].append({"scores": {}, "calls": [], "verdicts": [verdict("fail")]})
    assert labels_of(made) == ["timeout", "pass", "fail"]
    assert list(judged_labels(made)) == [("execution", "timeout"), ("execution", "pass"), ("execution", "fail")]
    assert list(tool_statuses(made)) == [("python", "ok"), ("web", "down")]


@pytest.mark.parametrize("made", [line("a"), line("b", None), {"repeats": None}, {}])
def test_a_line_without_evidence_has_none(made: dict[str, Any]) -> None:
    assert labels_of(made) == []
    assert list(tool_statuses(made)) == []
    assert kinds_of(made) == []
    assert verdicts_of({}) == tool_uses_of({}) == []


@pytest.mark.parametrize(
    ("explanation", "kinds"),
    [
        ("wrong_value: call 1, argument 'unit': 3 is none of 4", ["wrong_value"]),
        ("no call: the text is empty", ["no call"]),
        ("2 of 3 repeats are right", []),
        ("Paris: not London", []),
        ("the sentence is long and has no kind although it has a colon: here", []),
    ],
)
def test_an_explanation_begins_with_its_kind(explanation: str, kinds: list[str]) -> None:
    made = judged(line("a", 0.0), explanations={"acc": explanation})
    assert kinds_of(made) == kinds
    assert explanations_of(made["repeats"][0]) == {"acc": explanation}


def test_json_that_is_nested_too_deeply_is_not_indented() -> None:
    deep: Any = 0
    for _ in range(900):
        deep = [deep]
    assert json.loads(indented(deep)) == deep
    assert indented({"a": [1]}) == '{\n "a": [\n  1\n ]\n}'
