"""Names that OpenAI's protocol does not allow go out changed and come back as they were."""

from __future__ import annotations

import pytest

from evalharness.backends.remote.tools import SentTools
from evalharness.errors import UsageError
from evalharness.types import Completion, ToolSchema


def tool(name: str) -> ToolSchema:
    return ToolSchema(name=name, description="d", parameters={"type": "object", "properties": {}})


def called(*names: str) -> Completion:
    calls = tuple({"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}} for name in names)
    return Completion(text="", tool_calls=calls)


def test_what_is_sent() -> None:
    sent = SentTools([tool("math.add"), tool("stop")])
    assert [one["function"]["name"] for one in sent.chat] == ["math_add", "stop"]
    assert sent.chat[1] == {
        "type": "function",
        "function": {"name": "stop", "description": "d", "parameters": {"type": "object", "properties": {}}},
    }
    assert sent.responses[0] == {
        "type": "function",
        "name": "math_add",
        "description": "d",
        "parameters": {"type": "object", "properties": {}},
        "strict": False,
    }


def test_calls_come_back_under_the_real_names() -> None:
    sent = SentTools([tool("math.add"), tool("x" * 70)])
    said = sent.restored(called("math_add", "x" * 64, "unknown"))
    assert [call["function"]["name"] for call in said.tool_calls] == ["math.add", "x" * 70, "unknown"]
    response = Completion(text="", tool_calls=({"type": "function_call", "name": "math_add", "arguments": "{}"},))
    assert sent.restored(response).tool_calls[0]["name"] == "math.add"


def test_a_completion_without_calls_stays_as_it_is() -> None:
    completion = Completion(text="no")
    assert SentTools([]).restored(completion) is completion


def test_names_that_would_be_alike_are_refused() -> None:
    with pytest.raises(UsageError, match=r"the function 'a[._]b' and another one have one name in OpenAI's protocol"):
        SentTools([tool("a.b"), tool("a_b")])
