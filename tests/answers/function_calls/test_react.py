"""Actions of ReAct texts."""

from __future__ import annotations

import pytest

from evalharness.answers.function_calls.calls import FunctionCall, MalformedCall, NoCall
from evalharness.answers.function_calls.react import read_react


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (
            'Thought: hm\nAction: search\nAction Input: {"q": "owls"}\nObservation: none',
            [("search", {"q": "owls"}, ())],
        ),
        ("Action: search\nAction Input: {'q': 'owls', 'n': 2}", [("search", {"q": "owls", "n": 2}, ())]),
        ("Action: search\nAction Input: owls of Norway\n", [("search", {}, ("owls of Norway",))]),
        ("Action: search\n\nAction Input:\nowls", [("search", {}, ("owls",))]),
        ("Thought 1: hm\nAction 1: Search[Mill House]\nThought 2:", [("Search", {}, ("Mill House",))]),
        ("Action: Finish[a[0]]", [("Finish", {}, ("a[0]",))]),
        ("Action: Finish[]", [("Finish", {}, ())]),
        ("Action: stop", [("stop", {}, ())]),
        ("Action: `stop`", [("stop", {}, ())]),
        ("Action: math.add(a=1)", [("math.add", {"a": 1}, ())]),
        ("Action: a\nAction Input: {}\nAction: b\nAction Input: 7", [("a", {}, ()), ("b", {}, ("7",))]),
        ("  Action : a\n  Action Input : x\nFinal Answer: done", [("a", {}, ("x",))]),
    ],
)
def test_actions(text: str, calls: list[tuple[str, dict[str, object], tuple[object, ...]]]) -> None:
    assert read_react(text) == [FunctionCall(*each) for each in calls]


@pytest.mark.parametrize("text", ["", "I would act.", "Reaction: none", "Action Input: x", "The Action: x"])
def test_what_is_no_action(text: str) -> None:
    with pytest.raises(NoCall, match="no line begins with 'Action:'"):
        read_react(text)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("Action: I look it up", "action 1 is 'I look it up', which is no name"),
        ("Action: a\nAction:", "action 2 is '', which is no name"),
        ('Action: f\nAction Input: {"a": ', "the input of action 1, 'f', is no object"),
        ("Action: f\nAction Input: {1: 2}", "no object with names as keys"),
        ("Action: f[{broken]", "the input of action 1, 'f', is no object"),
    ],
)
def test_what_is_malformed(text: str, clause: str) -> None:
    with pytest.raises(MalformedCall, match=clause):
        read_react(text)
