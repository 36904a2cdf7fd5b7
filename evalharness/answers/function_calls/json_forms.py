"""Calls as JSON: what a server hands over as native calls, objects in fences or tags, and bare ones.

A call is an object with a name (``name``, or ``function`` as a text) and arguments (``arguments``, ``parameters`` or
``input``): an object, or a text that holds one. Either may stand below ``function``, as in the chat completions of
OpenAI's API; a list of them may stand below ``tool_calls``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from evalharness.answers.function_calls.calls import FunctionCall, MalformedCall, NoCall

_TAG = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_FENCE = re.compile(r"```\w*\n(.*?)(?:```|\Z)", re.DOTALL)
_BEGINS = re.compile(r"[\[{]\s*[\[{\"\]}]")
_TRIES = 50
"""Places in a text at which a bare object is looked for."""
_DECODER = json.JSONDecoder()


def read_json(text: str) -> list[FunctionCall]:
    """The calls of a text: those in ``<tool_call>`` tags, else of the first fence with any, else the first bare ones.

    Raises:
        NoCall: there is none.
        MalformedCall: what stands there cannot be read.
    """
    if tagged := _TAG.findall(text):
        return [call for content in tagged for call in _calls(_loaded(content))]
    whole = text.strip()
    refusal: ValueError = NoCall("the text holds no JSON object with a name and arguments")
    for content in fenced(text) + ([whole] if _BEGINS.match(whole) else []):
        try:
            return _calls(_loaded(content))
        except (NoCall, MalformedCall) as error:
            refusal = _graver(refusal, error)
    for value in _bare(text):
        try:
            if calls := _calls(value):
                return calls
        except (NoCall, MalformedCall) as error:
            refusal = _graver(refusal, error)
    raise refusal


def fenced(text: str) -> list[str]:
    """What stands in the fenced blocks of a text, in order; the last one may be cut."""
    return _FENCE.findall(text)


def _graver(one: ValueError, other: ValueError) -> ValueError:
    """The first refusal of a call that was begun; else the first."""
    return other if isinstance(other, MalformedCall) and not isinstance(one, MalformedCall) else one


def _loaded(content: str) -> Any:
    """The JSON that a text is.

    Raises:
        MalformedCall: it is none.
    """
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        raise MalformedCall(f"the text is no JSON: {error.msg} at character {error.pos + 1}") from None
    except ValueError:  # a whole number of thousands of digits
        raise MalformedCall("a number has thousands of digits") from None
    except RecursionError:
        raise MalformedCall("the JSON is nested too deeply") from None


def _bare(text: str) -> Iterator[Any]:
    """JSON objects and lists that stand in a text, the first ones."""
    at = 0
    for _ in range(_TRIES):
        found = _BEGINS.search(text, at)
        if found is None:
            return
        try:
            value, at = _DECODER.raw_decode(text, found.start())
            yield value
        except (ValueError, RecursionError):
            at = found.start() + 1


def _calls(value: Any) -> list[FunctionCall]:
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    items = value if isinstance(value, list) else [value]
    if items and not any(isinstance(item, dict) and _name(item) is not None for item in items):
        raise NoCall("the JSON names no function")
    return [_call(item, number) for number, item in enumerate(items, start=1)]


def _name(item: dict[str, Any]) -> str | None:
    function = item.get("function")
    name = function.get("name") if isinstance(function, dict) else item.get("name", function)
    return name if isinstance(name, str) and name else None


def _call(item: Any, number: int) -> FunctionCall:
    name = _name(item) if isinstance(item, dict) else None
    if name is None:
        raise MalformedCall(f"call {number} names no function")
    holder = item["function"] if isinstance(item.get("function"), dict) else item
    key = next((key for key in ("arguments", "parameters", "input") if key in holder), None)
    if key is None:
        raise MalformedCall(f"call {number}, of '{name}', has no arguments; an object is needed")
    return FunctionCall(name, _arguments(holder[key], f"call {number}, of '{name}'"))


def _arguments(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, str) and value.strip():
        try:
            value = _loaded(value)
        except MalformedCall as error:
            raise MalformedCall(f"{where}: its arguments: {error}") from None
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise MalformedCall(f"{where}: its arguments are of the JSON type {type(value).__name__}, not an object")
    return value
