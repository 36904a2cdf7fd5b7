"""What a tool is: a schema that a model is told, and what comes of using it; its state lives for one episode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from evalharness import registry
from evalharness.data.options import CorpusOptions
from evalharness.errors import DataError, UsageError, nearest
from evalharness.options import Options, parse_options
from evalharness.tools.arguments import ArgumentsError, checked
from evalharness.tools.page import Page
from evalharness.types import ToolSchema, ToolUse

if TYPE_CHECKING:
    from evalharness.tools.python import Sessions
    from evalharness.tools.search import Searchable


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a run has for the tools of one episode, and what they share in it."""

    sandbox: Sessions | None = None
    """Where model-written code is executed."""
    corpus: Searchable | None = None
    """What is searched."""
    page: Page = field(default_factory=Page)
    """What the model has opened."""


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
    executes: ClassVar[bool] = False
    """Whether it runs programs, so that a run needs a sandbox."""
    needs: ClassVar[str | None] = None
    """Another tool, without which this one is of no use."""

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


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A registered tool as a task lists it, before any episode."""

    component: type[Tool]
    options: Options

    @property
    def name(self) -> str:
        return self.component.schema.name

    @property
    def facts(self) -> list[Any]:
        """What decides what comes of it: name, version, options; not where a corpus lies, which has a fingerprint."""
        apart = {"corpus"} if self.corpus else None
        return [self.name, self.component.version, self.options.model_dump(mode="json", exclude=apart)]

    @property
    def corpus(self) -> CorpusOptions | None:
        """What it searches, for the run to load it; None where it searches nothing."""
        corpus = getattr(self.options, "corpus", None)
        return corpus if isinstance(corpus, CorpusOptions) else None

    @property
    def executes(self) -> bool:
        """Whether a run that lists it needs a sandbox."""
        return bool(getattr(self.component, "executes", False))

    def built(self, resources: Resources) -> Tool:
        """The tool for one episode."""
        return cast(Any, self.component)(self.options, resources)  # type: ignore[no-any-return]


def listed_tools(specs: Sequence[str | Mapping[str, Any]], where: str) -> tuple[ListedTool, ...]:
    """The tools that a list in a task file names: names, or ``{tool: name, ...options}``.

    Raises:
        DataError: an unknown tool or option (the nearest known one is named), a wrong value, a tool that is listed
            twice or without another that it needs, or two corpora.
    """
    listed = tuple(_listed(spec, f"{where}[{number}]") for number, spec in enumerate(specs))
    names = [tool.name for tool in listed]
    for number, tool in enumerate(listed):
        if names.index(tool.name) < number:
            raise DataError(f"{where}[{number}]: the tool '{tool.name}' is listed twice; a model can call only one.")
        needs: str | None = getattr(tool.component, "needs", None)
        if needs is not None and needs not in names:
            raise DataError(f"{where}[{number}]: the tool '{tool.name}' needs the tool '{needs}'; list that one too.")
    corpora = [tool.corpus for tool in listed if tool.corpus]
    if any(corpus != corpora[0] for corpus in corpora):
        raise DataError(f"{where}: the tools search different corpora, and a run has one; give all of them the same.")
    return listed


def build_tools(specs: Sequence[str | Mapping[str, Any]], resources: Resources, where: str) -> list[Tool]:
    """The tools of a list (`listed_tools`) for one episode.

    Raises:
        DataError: the list is faulty.
        ServiceError: a tool lacks what it needs of the run.
    """
    return [tool.built(resources) for tool in listed_tools(specs, where)]


def _listed(spec: str | Mapping[str, Any], where: str) -> ListedTool:
    options = {} if isinstance(spec, str) else dict(spec)
    name = spec if isinstance(spec, str) else options.pop("tool", None)
    if not isinstance(name, str):
        raise DataError(f"{where}: the key 'tool' with the name of a tool is missing.")
    try:
        component = registry.lookup("tool", name)
    except UsageError as error:
        raise DataError(f"{where}: {error}") from None
    return ListedTool(component, parse_options(component.options, options, where))


def _use(name: str, arguments: Mapping[str, Any] | str, result: Result) -> ToolUse:
    given, details = arguments, dict(result.details)
    if isinstance(given, str):
        given, details = {}, {"arguments": given, **details}
    return ToolUse(tool=name, arguments=dict(given), result=result.text, status=result.status, details=details)
