"""Tools of a prompt as servers of OpenAI's protocol are told of them, and the calls that they read out of an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from evalharness.errors import UsageError
from evalharness.prompting.functions import openai_tool
from evalharness.types import Completion, ToolSchema

_NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9_-]")
LONGEST_NAME = 64


class SentTools:
    """The tools of one request. The protocol allows letters, digits, ``_`` and ``-`` in a name, 64 at most: others are
    sent with ``_`` in their place (``math.factorial`` as ``math_factorial``), and the calls get the real name back.

    Raises:
        UsageError: two names would be sent alike.
    """

    def __init__(self, tools: Sequence[ToolSchema]) -> None:
        self._tools = {_NOT_ALLOWED.sub("_", tool.name)[:LONGEST_NAME]: tool for tool in tools}
        if len(self._tools) < len(tools):
            alike = next(tool for tool in tools if tool not in self._tools.values())
            raise UsageError(
                f"the function '{alike.name}' and another one have one name in OpenAI's protocol, which knows only "
                "letters, digits, '_' and '-'; rename one of them."
            )

    @property
    def chat(self) -> list[dict[str, Any]]:
        """As chat completions take them."""
        return [
            {"type": "function", "function": openai_tool(tool)["function"] | {"name": name}}
            for name, tool in self._tools.items()
        ]

    @property
    def responses(self) -> list[dict[str, Any]]:
        """As responses take them; ``strict`` would refuse schemas with optional arguments."""
        return [{"type": "function", **tool["function"], "strict": False} for tool in self.chat]

    def restored(self, completion: Completion) -> Completion:
        """The completion with its calls under the real names."""
        if not completion.tool_calls:
            return completion
        return replace(completion, tool_calls=tuple(self._restored(call) for call in completion.tool_calls))

    def _restored(self, call: Mapping[str, Any]) -> Mapping[str, Any]:
        if "function" in call:
            return {**call, "function": self._restored(call["function"])}
        tool = self._tools.get(str(call.get("name")))
        return call if tool is None else {**call, "name": tool.name}
