"""What is checked before a model is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evalharness.errors import DataError
from evalharness.serving.requests import Body, ChatBody, CompletionBody, DetokenizeBody, TokenizeBody, parsed

TURN = {"role": "user", "content": "Hello"}


def completion(**fields: Any) -> CompletionBody:
    return parsed(CompletionBody, json.dumps({"prompt": "Hello", **fields}).encode())


def chat(**fields: Any) -> ChatBody:
    return parsed(ChatBody, json.dumps({"messages": [TURN], **fields}).encode())


@pytest.mark.parametrize(
    ("given", "prompts"),
    [
        ("Hello", ("Hello",)),
        (["a", "b"], ("a", "b")),
        ([1, 2, 3], ((1, 2, 3),)),
        ([[1], [2, 3]], ((1,), (2, 3))),
    ],
)
def test_a_prompt_has_four_forms(given: Any, prompts: tuple[Any, ...]) -> None:
    assert completion(prompt=given).prompt == prompts


@pytest.mark.parametrize("given", [[], [[]], [1, "a"], [True], 5, {"a": 1}, [[1], "a"], [-1], [2**31], [1.5]])
def test_any_other_form_is_refused(given: Any) -> None:
    with pytest.raises(DataError, match="request: prompt: give a text, a list of texts, a list of token ids"):
        completion(prompt=given)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"temperature": -1}, "request: temperature: Input should be greater than or equal to 0, not -1."),
        ({"temperature": float("nan")}, "request: temperature: Input should be a finite number"),
        ({"top_p": 0}, "request: top_p: Input should be greater than 0"),
        ({"n": 0}, "request: n: Input should be greater than or equal to 1"),
        ({"max_tokens": 0}, "max_tokens is 0, so there would be no text"),
        ({"max_tokens": "many"}, "request: max_tokens: Input should be a valid integer"),
        ({"temprature": 1}, "request: temprature: unknown key; did you mean 'temperature'?"),
        ({"stop": [""]}, "request: stop.0: String should have at least 1 character"),
        ({"best_of": 3}, "best_of: this server does not offer it; leave it out."),
        ({"suffix": " end"}, "suffix: this server does not offer it"),
        ({"ignore_eos": True}, "ignore_eos: this server does not offer it"),
        ({"prompt": "\ud800"}, "half of a surrogate pair"),
        ({"response_format": {"type": "json_schema"}}, "response_format: the type json_schema and the key"),
        ({"guided_regex": "a", "guided_json": {}}, "exclude one another"),
        ({"logit_bias": {"word": 1}}, "request: logit_bias"),
    ],
)
def test_a_wrong_completion_is_one_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        completion(**fields)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"messages": []}, "request: messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "request: messages.0.role"),
        ({"messages": [{"role": "user"}]}, "request: messages.0.content: this key is required but missing."),
        ({"messages": [{**TURN, "name": "Ada"}]}, "request: messages.0.name: unknown key"),
        ({"messages": ["Hello"]}, "request: messages.0"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages.0.content: this server takes text only",
        ),
        ({"tools": ["f"]}, "request: tools.0"),
        ({"tool_choice": "required"}, "request: tool_choice: Input should be 'none' or 'auto', not 'required'."),
        ({"top_logprobs": 2}, "top_logprobs needs logprobs"),
        ({"reasoning_effort": "high"}, "reasoning_effort: this server does not offer it"),
    ],
)
def test_a_wrong_chat_is_one_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        chat(**fields)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("raw", [b"{", b"\xff", b"[" * 100_000, b""])
def test_what_is_no_json_is_said(raw: bytes) -> None:
    with pytest.raises(DataError, match="the request is not JSON"):
        parsed(Body, raw)


def test_what_is_no_object_is_said() -> None:
    with pytest.raises(DataError, match="no JSON object"):
        parsed(Body, b"[1]")


def test_what_asks_for_nothing_is_passed_over() -> None:
    body = chat(user="ada", metadata={"a": "b"}, tools=[], tool_choice="auto", suffix=None, seed=None, store=True)
    assert body == chat()


def test_parts_of_a_message_are_joined() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    assert chat(messages=[{"role": "developer", "content": parts}]).messages[0].message.content == "Hello"
    assert chat(messages=[{"role": "developer", "content": parts}]).messages[0].message.role == "system"


@pytest.mark.parametrize(
    ("fields", "schema"),
    [
        ({}, None),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, {"type": "object"}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "integer"}}}},
         {"type": "integer"}),
        ({"guided_json": {"type": "string"}}, {"type": "string"}),
    ],
)  # fmt: skip
def test_the_schema_that_texts_are_held_to(fields: dict[str, Any], schema: Any) -> None:
    held = completion(**fields).json_schema
    assert (None if held is None else json.loads(held)) == schema


def test_a_text_to_tokenize_is_one_of_two() -> None:
    with pytest.raises(DataError, match="not both"):
        parsed(TokenizeBody, b"{}")
    with pytest.raises(DataError, match="not both"):
        parsed(TokenizeBody, json.dumps({"prompt": "a", "messages": [TURN]}).encode())
    assert parsed(TokenizeBody, b'{"prompt": ""}').prompt == ""


def test_ids_to_detokenize_are_ids() -> None:
    with pytest.raises(DataError, match="a token id is a whole number"):
        parsed(DetokenizeBody, b'{"tokens": [-1]}')


TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}


def test_tools_are_functions_with_names() -> None:
    (function,) = chat(tools=[TOOL]).functions
    assert (function.name, function.description, function.parameters) == ("add", "Adds.", {"type": "object"})
    assert chat(tools=[TOOL], tool_choice="none").functions == ()
    with pytest.raises(DataError, match=r"request: tools: function 0: write \{name, description, parameters\}"):
        _ = chat(tools=[{"type": "function"}]).functions


def test_a_text_takes_no_tools() -> None:
    with pytest.raises(DataError, match="tools: this server does not offer it"):
        completion(tools=[TOOL])
