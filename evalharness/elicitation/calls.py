"""The method that lets the model call functions natively, as its own format or its server's protocol has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from evalharness.elicitation.base import Ask, Method, NoOptions
from evalharness.hashing import canonical_json
from evalharness.types import Attempt, Completion


async def _function_calling(ask: Ask, options: NoOptions) -> Attempt:
    """Ask once, with the functions of the task's `prompt.tools`.

    The candidate is the canonical JSON of the calls, ``[{"name": ..., "arguments": {...}}]``, where the server read any
    out of the answer, and else the answer's text, in which a parser may find calls.
    """
    tools = ask.renderer.tools(ask.sample)
    prompt = ask.prompter.with_tools(ask.prompt(), tools, reserve=ask.sampling.max_tokens)
    (completion,) = await ask.generate(prompt)
    return Attempt(calls=tuple(ask.calls), candidates=(_said(completion),))


def _said(completion: Completion) -> str:
    calls = native_calls(completion.tool_calls)
    return canonical_json(calls) if calls else completion.text


def native_calls(tool_calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Calls as a completion keeps them, of chat completions or of responses, as names with their arguments.

    Arguments that are no JSON object stay the text that they were: a parser counts them as malformed.
    """
    found = []
    for call in tool_calls:
        function = call.get("function") or call
        found.append({"name": function.get("name"), "arguments": _arguments(function.get("arguments"))})
    return found


def _arguments(given: Any) -> Any:
    if not isinstance(given, str):
        return given or {}
    try:
        values = json.loads(given, parse_constant=_refused) if given.strip() else {}
    except (ValueError, RecursionError):
        return given
    return values if isinstance(values, dict) else given


def _refused(constant: str) -> NoReturn:
    """NaN and the infinities are no JSON, whatever Python thinks."""
    raise ValueError(constant)


function_calling = Method(name="function_calling", run=_function_calling, needs="target")
