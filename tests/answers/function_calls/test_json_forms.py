"""Calls as JSON, in the shapes that servers and models give them."""

from __future__ import annotations

import json

import pytest

from evalharness.answers.function_calls.calls import FunctionCall, MalformedCall, NoCall
from evalharness.answers.function_calls.json_forms import read_json

ADD = FunctionCall("add", {"a": 1, "b": [2.5, None]})
PLAIN = {"name": "add", "arguments": {"a": 1, "b": [2.5, None]}}
OPENAI = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": json.dumps(PLAIN["arguments"])}}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(PLAIN),
        json.dumps([PLAIN]),
        json.dumps([OPENAI]),
        json.dumps({"role": "assistant", "tool_calls": [OPENAI]}),
        json.dumps({"function": "add", "parameters": PLAIN["arguments"]}),
        json.dumps({"type": "tool_use", "name": "add", "input": PLAIN["arguments"]}),
        f"```json\n{json.dumps([PLAIN], indent=2)}\n```",
        f"Here it is:\n```\n{json.dumps(PLAIN)}\n```\nDone.",
        f"```json\n{json.dumps(PLAIN)}",
        f"<tool_call>\n{json.dumps(PLAIN)}\n</tool_call>",
        f"I call <tool_call>{json.dumps(PLAIN)}",
        f'First {{"a": 1}}, then {json.dumps(PLAIN)}, and then {{"name": "b"}}.',
    ],
)
def test_shapes(text: str) -> None:
    assert read_json(text) == [ADD]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("[]", []),
        ('{"name": "f", "arguments": {}}', [FunctionCall("f")]),
        ('{"name": "f", "arguments": ""}', [FunctionCall("f")]),
        ('{"name": "f", "arguments": null}', [FunctionCall("f")]),
        (
            '<tool_call>{"name": "f", "arguments": {}}</tool_call><tool_call>{"name": "g", "arguments": {}}',
            [FunctionCall("f"), FunctionCall("g")],
        ),
        ('{"name": "f", "arguments": {"g": {"name": "h", "arguments": {}}}}',
         [FunctionCall("f", {"g": {"name": "h", "arguments": {}}})]),
    ],
)  # fmt: skip
def test_lists(text: str, calls: list[FunctionCall]) -> None:
    assert read_json(text) == calls


@pytest.mark.parametrize("text", ["", "No.", "7", "[1, 2]", '{"answer": 3}', '"add"', "f(a={1: 2})", "```\nx = 1\n```"])
def test_what_is_no_call(text: str) -> None:
    with pytest.raises((NoCall, MalformedCall)) as refused:
        read_json(text)
    assert isinstance(refused.value, NoCall) or "```" in text


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ('{"name": "f", "arguments": {"a": 1}', "no JSON"),
        ('{"name": "f"}', "call 1, of 'f', has no arguments"),
        ('{"name": "f", "arguments": [1]}', "of the JSON type list, not an object"),
        ('{"name": "f", "arguments": "{\\"a\\": "}', "its arguments: the text is no JSON"),
        ('{"name": "f", "arguments": "7"}', "of the JSON type int"),
        ('[{"name": "f", "arguments": {}}, {"arguments": {}}]', "call 2 names no function"),
        ('[{"name": "f", "arguments": {}}, 3]', "call 2 names no function"),
        ("<tool_call>add(1)</tool_call>", "no JSON"),
        ('{"name": "f", "arguments": {"a": ' + "9" * 5000 + "}}", "thousands of digits"),
        ('{"name": "f", "arguments": ' + '{"a": ' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_malformed(text: str, clause: str) -> None:
    with pytest.raises(MalformedCall, match=clause):
        read_json(text)
