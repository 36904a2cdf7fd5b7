"""The tool ``python``: code in a session of the sandbox that keeps its variables from one use to the next."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar, Protocol

from pydantic import Field

from evalharness.answers.code import CodeParser
from evalharness.errors import ServiceError
from evalharness.options import Options
from evalharness.sandbox.outcome import Limits, Outcome
from evalharness.tools.base import Resources, Result, Tool
from evalharness.types import ToolSchema


class PythonSession(Protocol):
    """A session of the sandbox."""

    async def __aenter__(self) -> PythonSession: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def execute(self, code: str) -> Outcome: ...

    async def reset(self) -> None:
        """Begin anew, with no variable set."""
        ...


class Sessions(Protocol):
    """Where sessions come from: the sandbox's pool."""

    def session(self, *, limits: Limits = ...) -> PythonSession: ...


class PythonOptions(Options):
    """Options of the tool ``python``."""

    seconds: float = Field(default=10.0, gt=0.0)
    """Of wall-clock time, for each use."""
    shown: int = Field(default=4_000, ge=100)
    """Characters that the model is shown; of more, the beginning and the end."""


class Python(Tool):
    """Executes code. The model is shown what it prints and the value of its last expression, or the error.

    Code that exceeds its time or kills its interpreter ends the session; the next use has a new one, and the model is
    told so. The status is ``ok``, or the sandbox's (``error``, ``timeout``, ``memory``, ``output_limit``).

    Raises:
        ServiceError: there is no sandbox, or, in use, it failed itself.
    """

    schema = ToolSchema(
        name="python",
        description="Executes Python code and shows what it prints and the value of its last expression. Variables, "
        "functions and imports stay from one call to the next. There is no network.",
        parameters={
            "type": "object",
            "properties": {"code": {"type": "string", "description": "Python source."}},
            "required": ["code"],
            "additionalProperties": False,
        },
    )
    options = PythonOptions
    executes: ClassVar[bool] = True

    def __init__(self, options: PythonOptions, resources: Resources) -> None:
        if resources.sandbox is None:
            raise ServiceError("the tool python executes model-written code, and this run has no sandbox.")
        self._shown = options.shown
        self._session = resources.sandbox.session(limits=Limits(seconds=options.seconds))

    async def act(self, arguments: Mapping[str, Any]) -> Result:
        outcome = await self._session.execute(CodeParser().parse(arguments["code"]).value or "")
        if outcome.status == "sandbox_error":
            raise ServiceError(f"the sandbox failed, not the code: {outcome.explanation}")
        parts = [outcome.stdout.rstrip("\n"), outcome.value, outcome.explanation]
        if outcome.status != "pass" and (await self._session.execute("")).status != "pass":
            await self._session.reset()
            parts.append("The session was ended; the next call begins a new one, with no variable set.")
        text = "\n".join(part for part in parts if part)
        return Result(
            text=_cut(text, self._shown) or "(nothing was printed)",
            status="ok" if outcome.status == "pass" else outcome.status,
            details={"level": outcome.level, "seconds": round(outcome.seconds, 3)},
        )

    async def __aenter__(self) -> Python:
        await self._session.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.__aexit__(kind, error, trace)


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    kept = longest // 2
    return f"{text[:kept]}\n[{len(text) - 2 * kept:,} characters are not shown]\n{text[-kept:]}"
