"""A Python session that keeps its variables from one piece of code to the next."""

from __future__ import annotations

import ast
import io
import sys

from evalharness.sandbox.inside.channel import Channel
from evalharness.sandbox.inside.confine import confine

TYPE_CHECKING = False  # inside/__init__.py says why
if TYPE_CHECKING:
    from typing import Any


class Full(BaseException):
    """More was printed than may be."""


class Printed(io.StringIO):
    """Keeps what is printed, up to a length."""

    def __init__(self, longest: int) -> None:
        super().__init__()
        self._room = longest

    def close(self) -> None:
        """Stay open: the session needs it yet."""

    def write(self, text: str) -> int:
        self._room -= len(text)
        if self._room < 0:
            raise Full
        return super().write(text)


def main(job: dict[str, Any]) -> None:
    """Execute what comes, until nothing does."""
    channel = Channel(job["longest"])
    confine(job)
    session = type(sys)("__main__")
    sys.modules["__main__"] = session
    while True:
        try:
            asked = channel.receive()
        except EOFError:
            return
        channel.send(answer=asked["number"], **_executed(asked["code"], session.__dict__, job["printed"]))


def _executed(code: str, names: dict[str, Any], longest: int) -> dict[str, Any]:
    printed, kept = Printed(longest), (sys.stdout, sys.stderr)
    answer: dict[str, Any] = {"status": "pass", "why": None, "value": None}
    sys.stdout = sys.stderr = printed
    try:
        value = _run(code, names)
        answer["value"] = None if value is None else _shown(value, longest)
    except Full:
        answer.update(status="output_limit", why=f"printed more than {longest} characters")
    except MemoryError:
        answer.update(status="memory", why="MemoryError")
    except BaseException as error:
        answer.update(status="error", why=_told(error))
    finally:
        sys.stdout, sys.stderr = kept
    answer["stdout"] = printed.getvalue()
    return answer


def _run(code: str, names: dict[str, Any]) -> Any:
    """The value of the last statement, where that is an expression."""
    tree = compile(code, "<session>", "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    assert isinstance(tree, ast.Module)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<session>", "exec", dont_inherit=True), names)
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), "<session>", "eval", dont_inherit=True), names)


def _shown(value: Any, longest: int) -> str:
    text = repr(value)
    if len(text) > longest:
        raise Full
    return text


def _told(error: BaseException) -> str:
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<session>":
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        words = str(error)[:2000]
    except BaseException:
        words = ""
    return f"{type(error).__name__}: {words}" + ("" if line is None else f" (line {line})")
