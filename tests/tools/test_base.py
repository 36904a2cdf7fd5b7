"""One protocol of tools: what a model asks for comes to a use, never to an exception; an episode opens and closes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from evalharness import registry
from evalharness.errors import DataError
from evalharness.options import Options
from evalharness.registry import lookup, names
from evalharness.tools.base import Resources, Result, Tool, Toolbox, build_tools, listed_tools
from evalharness.tools.calculator import Calculator
from evalharness.tools.search import SearchOptions
from evalharness.types import ToolSchema, ToolUse


class Counter(Tool):
    """Adds up what it is given within one episode."""

    schema = ToolSchema(
        name="counter",
        description="Adds to a sum.",
        parameters={"type": "object", "properties": {"by": {"type": "integer"}}, "required": ["by"]},
    )
    episodes: ClassVar[list[str]] = []

    def __init__(self) -> None:
        self.sum = 0

    async def act(self, arguments: Mapping[str, Any]) -> Result:
        self.sum += arguments["by"]
        return Result(text=str(self.sum), details={"by": arguments["by"]})

    async def __aenter__(self) -> Counter:
        self.episodes.append("opened")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.episodes.append("closed")


def used(tools: Sequence[Tool], *calls: tuple[str, Any]) -> list[ToolUse]:
    async def episode() -> list[ToolUse]:
        async with Toolbox(tools) as box:
            return [await box.use(name, arguments) for name, arguments in calls]

    return asyncio.run(episode())


def test_state_lasts_for_an_episode() -> None:
    Counter.episodes.clear()
    uses = used([Counter()], ("counter", {"by": 2}), ("counter", '{"by": 3}'))
    assert [use.result for use in uses] == ["2", "5"]
    assert uses[1] == ToolUse(tool="counter", arguments={"by": 3}, result="5", details={"by": 3})
    assert Counter.episodes == ["opened", "closed"]


def test_what_does_not_fit_is_a_use_that_says_so() -> None:
    missing, text = used([Counter()], ("counter", {"bye": 2}), ("counter", "2"))
    assert (missing.status, missing.arguments) == ("invalid", {"bye": 2})
    assert missing.result == "counter: the argument 'by' is missing; it must be an integer."
    assert (text.status, text.arguments, text.details) == ("invalid", {}, {"arguments": "2"})


def test_an_unknown_tool_is_a_use_that_names_the_nearest() -> None:
    (use,) = used([Counter(), _calculator()], ("calculater", {"expression": "1"}))
    assert (use.tool, use.status) == ("calculater", "unknown")
    assert use.result == "there is no tool 'calculater'; did you mean 'calculator'?"


def test_an_episode_closes_what_it_opened_when_it_fails() -> None:
    class Broken(Counter):
        schema = ToolSchema(name="broken", description="", parameters={"type": "object"})

        async def act(self, arguments: Mapping[str, Any]) -> Result:
            raise RuntimeError("a fault of ours")

    Counter.episodes.clear()
    with pytest.raises(RuntimeError):
        used([Counter(), Broken()], ("broken", {}))
    assert Counter.episodes == ["opened", "opened", "closed", "closed"]


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="two tools are named 'counter'"):
        Toolbox([Counter(), Counter()])


def test_the_schemas_are_those_of_the_tools_in_their_order() -> None:
    assert [schema.name for schema in Toolbox([_calculator(), Counter()]).schemas] == ["calculator", "counter"]


# --------------------------------------------------------------------------- from a task file


def test_tools_are_built_by_name() -> None:
    (tool,) = build_tools(["calculator"], Resources(), "own.yaml: tools")
    assert isinstance(tool, Calculator)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("calculater", r"own.yaml: tools\[0\]: unknown tool 'calculater'; did you mean 'calculator'?"),
        ({"seconds": 1}, r"own.yaml: tools\[0\]: the key 'tool' with the name of a tool is missing."),
        ({"tool": "calculator", "exact": True}, r"own.yaml: tools\[0\]: exact: unknown key"),
        ({"tool": "python", "secnds": 1}, r"own.yaml: tools\[0\]: secnds: unknown key; did you mean 'seconds'?"),
        ({"tool": "python", "seconds": 0}, r"own.yaml: tools\[0\]: seconds: Input should be greater than 0"),
    ],
)
def test_a_wrong_entry_is_one_sentence(spec: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        build_tools([spec], Resources(), "own.yaml: tools")


@pytest.mark.parametrize("name", names("tool"))
def test_a_registered_tool_is_called_what_it_is_registered_as(name: str) -> None:
    from jsonschema import Draft202012Validator

    tool = lookup("tool", name)
    assert tool.schema.name == name
    assert tool.version >= 1
    Draft202012Validator.check_schema(tool.schema.parameters)


def _calculator() -> Calculator:
    return Calculator(Options(), Resources())


class Shelf(Calculator):
    """A tool of a package that searches a corpus of its own."""

    schema = ToolSchema(name="shelf", description="Finds a book.", parameters={"type": "object"})
    options = SearchOptions


def test_tools_that_search_share_one_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._TRUSTED["tool"], "shelf", Shelf)
    one, other = ({"named": name} for name in ("wikipedia_pieces", "another"))
    search, shelf = listed_tools([{"tool": "search", "corpus": one}, {"tool": "shelf", "corpus": one}], "here")
    assert search.corpus == shelf.corpus
    assert search.facts == ["search", 1, {"opens": "best"}]
    with pytest.raises(DataError, match=r"^here: the tools search different corpora"):
        listed_tools([{"tool": "search", "corpus": one}, {"tool": "shelf", "corpus": other}], "here")
