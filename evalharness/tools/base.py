"""What a tool is: a schema that a model is told, and what comes of using it; its state lives for one episode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from evalharness import registry
from evalharness.errors import DataError, UsageError, nearest
from evalharness.options import Options, parse_options
from evalharness.tools.arguments import ArgumentsError, checked
from evalharness.types import ToolSchema, ToolUse

if TYPE_CHECKING:
    from evalharness.tools.python import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a run has for the tools of an episode."""

    sandbox: Sessions | None = None
    """Where model-written code is executed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one use."""

    text: str
    """What the model is shown."""
    status: str = "ok"
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further facts for the record."""


class Tool(ABC):
    """One tool in one episode, a sample's conversation with its model: ``async with tool: await tool.use(...)``.

    A registered tool is a class that is made with its own options and the run's `Resources`. One that comes of data, a
    function of a simulated service, may be made in any way and sets `schema` on itself.
    """

    schema: ToolSchema
    version: ClassVar[int] = 1
    """Raised when the same arguments would come to something else; part of the protocol's hash."""
    options: ClassVar[type[Options]] = Options
    """Model of a registered tool's options."""

    async def use(self, arguments: Mapping[str, Any] | str) -> ToolUse:
        """Use it once. What a model wrote never raises: arguments that do not fit have the status ``invalid``.

        Args:
            arguments: an object, or its JSON.
        """
        try:
            fitting = checked(self.schema, arguments)
        except ArgumentsError as error:
            return _use(self.schema.name, arguments, Result(text=str(error), status="invalid"))
        return _use(self.schema.name, fitting, await self.act(fitting))

    @abstractmethod
    async def act(self, arguments: Mapping[str, Any]) -> Result:
        """What comes of arguments that fit the schema."""

    async def __aenter__(self) -> Tool:
        """Begin an episode."""
        return self

    async def __aexit__(  # noqa: B027  (most tools hold nothing)
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, and let go of what it holds."""


class Toolbox:
    """The tools of one episode, by name: ``async with Toolbox(tools) as box: await box.use("calculator", ...)``.

    Raises:
        DataError: two tools have one name.
    """

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.schema.name: tool for tool in tools}
        if len(self._tools) < len(tools):
            names = [tool.schema.name for tool in tools]
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"two tools are named '{twice}'; a model can call only one of them.")
        self._opened = AsyncExitStack()

    @property
    def schemas(self) -> tuple[ToolSchema, ...]:
        return tuple(tool.schema for tool in self._tools.values())

    async def use(self, name: str, arguments: Mapping[str, Any] | str) -> ToolUse:
        """Use a tool as a model asks for it; one that is not here has the status ``unknown``."""
        if name not in self._tools:
            missing = Result(text=f"there is no tool '{name:.60}'; {nearest(name, self._tools)}", status="unknown")
            return _use(name, arguments, missing)
        return await self._tools[name].use(arguments)

    async def __aenter__(self) -> Toolbox:
        for tool in self._tools.values():
            await self._opened.enter_async_context(tool)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()


def build_tools(specs: Sequence[str | Mapping[str, Any]], resources: Resources, where: str) -> list[Tool]:
    """The tools that a list in a task file names: names, or ``{tool: name, ...options}``.

    Raises:
        DataError: an unknown tool or option (the nearest known one is named), or a wrong value.
    """
    return [_built(spec, resources, f"{where}[{number}]") for number, spec in enumerate(specs)]


def _built(spec: str | Mapping[str, Any], resources: Resources, where: str) -> Tool:
    options = {} if isinstance(spec, str) else dict(spec)
    name = spec if isinstance(spec, str) else options.pop("tool", None)
    if not isinstance(name, str):
        raise DataError(f"{where}: the key 'tool' with the name of a tool is missing.")
    try:
        component = registry.lookup("tool", name)
    except UsageError as error:
        raise DataError(f"{where}: {error}") from None
    return cast(Tool, component(parse_options(component.options, options, where), resources))


def _use(name: str, arguments: Mapping[str, Any] | str, result: Result) -> ToolUse:
    given, details = arguments, dict(result.details)
    if isinstance(given, str):
        given, details = {}, {"arguments": given, **details}
    return ToolUse(tool=name, arguments=dict(given), result=result.text, status=result.status, details=details)
