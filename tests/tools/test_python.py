"""The Python tool over the sandbox itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from evalharness.errors import ServiceError
from evalharness.sandbox.outcome import Outcome
from evalharness.sandbox.pool import Pool
from evalharness.tools.base import Resources
from evalharness.tools.python import Python, PythonOptions
from evalharness.types import ToolUse


def used(sandbox: Any, *code: str, **options: Any) -> list[ToolUse]:
    """One episode."""

    async def episode() -> list[ToolUse]:
        async with Python(PythonOptions(**options), Resources(sandbox=sandbox)) as tool:
            return [await tool.use({"code": each}) for each in code]

    return asyncio.run(episode())


def test_variables_stay_within_an_episode(pool: Pool) -> None:
    uses = used(pool, "x = 6\nprint('set')", "x * 7", "```python\nx + 1\n```", "x = 1")
    assert [(use.status, use.result) for use in uses] == [
        ("ok", "set"),
        ("ok", "42"),
        ("ok", "7"),
        ("ok", "(nothing was printed)"),
    ]
    assert uses[0].details["level"] == pool.sandbox.level
    (fresh,) = used(pool, "x")
    assert (fresh.status, fresh.result) == ("error", "NameError: name 'x' is not defined (line 1)")


def test_an_error_is_shown_and_the_session_goes_on(pool: Pool) -> None:
    wrong, after = used(pool, "y = 2\nprint('so far')\n1 / 0", "y")
    assert (wrong.status, wrong.result) == ("error", "so far\nZeroDivisionError: division by zero (line 3)")
    assert after.result == "2"


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("while True: pass", "timeout", "longer than 0.5 s"),
        ("import os; os._exit(3)", "error", "the session ended (exit status 3)"),
    ],
)
def test_a_session_that_ends_begins_anew_and_the_model_is_told(pool: Pool, code: str, status: str, told: str) -> None:
    _, ended, lost, after = used(pool, "z = 1", code, "z", "z = 2\nz", seconds=0.5)
    assert (ended.status, ended.result) == (
        status,
        f"{told}\nThe session was ended; the next call begins a new one, with no variable set.",
    )
    assert lost.result == "NameError: name 'z' is not defined (line 1)"
    assert after.result == "2"


def test_of_a_long_result_the_model_sees_both_ends(pool: Pool) -> None:
    (use,) = used(pool, "print('a' * 300 + 'b' * 300)", shown=100)
    assert use.result == f"{'a' * 50}\n[500 characters are not shown]\n{'b' * 50}"


def test_a_sandbox_that_fails_is_no_result_of_the_code() -> None:
    class Session:
        async def __aenter__(self) -> Session:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def execute(self, code: str) -> Outcome:
            return Outcome(status="sandbox_error", explanation="no box")

    class Sandbox:
        def session(self, **_: Any) -> Session:
            return Session()

    with pytest.raises(ServiceError, match="the sandbox failed, not the code: no box"):
        used(Sandbox(), "1")


def test_without_a_sandbox_there_is_no_tool() -> None:
    with pytest.raises(ServiceError, match="this run has no sandbox"):
        Python(PythonOptions(), Resources())
