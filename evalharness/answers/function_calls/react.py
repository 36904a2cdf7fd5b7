"""Calls as ReAct text: a line ``Action: name`` with ``Action Input: ...`` after it, or ``Action: name[input]``.

Yao et al. 2022, arXiv:2210.03629, write the second; agent frameworks made the first of it.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from evalharness.answers.function_calls.calls import FunctionCall, MalformedCall, NoCall
from evalharness.answers.function_calls.python_syntax import read_python

_ACTION = re.compile(r"^[ \t]*Action(?:[ \t]*\d+)?[ \t]*:[ \t]*(?P<action>[^\n]*)", re.MULTILINE)
_INPUT = re.compile(
    r"\s*^[ \t]*Action[ \t]+Input(?:[ \t]*\d+)?[ \t]*:[ \t]*(?P<input>.*?)"
    r"(?=^[ \t]*(?:Thought|Observation|Action|Final Answer)\b[^\n:]*:|\Z)",
    re.MULTILINE | re.DOTALL,
)
_NAME = re.compile(r"[^\W\d][\w.-]*")
_WITH_INPUT = re.compile(rf"(?P<name>{_NAME.pattern})\[(?P<input>.*)\]", re.DOTALL)


def read_react(text: str) -> list[FunctionCall]:
    """Every action of a text, in order.

    Raises:
        NoCall: no line begins with ``Action:``.
        MalformedCall: an action names no function, or its input is a broken object.
    """
    calls: list[FunctionCall] = []
    for number, found in enumerate(_ACTION.finditer(text), start=1):
        given = _INPUT.match(text, found.end())
        calls += _action(found["action"].strip().strip("`"), given["input"].strip() if given else None, number)
    if not calls:
        raise NoCall("no line begins with 'Action:'")
    return calls


def _action(action: str, given: str | None, number: int) -> list[FunctionCall]:
    if given is not None and _NAME.fullmatch(action):
        return [_with_input(action, given, number)]
    if with_input := _WITH_INPUT.fullmatch(action):
        return [_with_input(with_input["name"], with_input["input"].strip(), number)]
    if _NAME.fullmatch(action):
        return [FunctionCall(action)]
    try:
        return read_python(action)
    except (NoCall, MalformedCall):
        raise MalformedCall(f"action {number} is {action!r:.60}, which is no name with an input") from None


def _with_input(name: str, given: str, number: int) -> FunctionCall:
    if not given:
        return FunctionCall(name)
    if not given.startswith("{"):
        return FunctionCall(name, positional=(given,))
    value = _mapping(given)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise MalformedCall(f"the input of action {number}, '{name}', is no object with names as keys")
    return FunctionCall(name, value)


def _mapping(text: str) -> Any:
    """A JSON object, or the same in Python's spelling; None where it is neither."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None
