"""What judges that run programs share: whether a text is one, what a verdict keeps, packages that are not there."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

from evalharness.elicitation.base import Executor
from evalharness.elicitation.packages import missing_package, told_missing
from evalharness.errors import ServiceError
from evalharness.judging.base import Bench
from evalharness.sandbox.outcome import Outcome

TAIL = 2000
"""Characters of what a program printed that a verdict keeps, from its end."""

_NO_MODULE = re.compile(r"No module named '([A-Za-z_]\w*)")


def boxes_of(bench: Bench) -> Executor:
    """Where the programs of an attempt are executed.

    Raises:
        ServiceError: nowhere.
    """
    if bench.sandbox is None:
        raise ServiceError(f"{bench.task}: a program is judged by running it, and this run has no sandbox.")
    return bench.sandbox


async def labelled(bench: Bench, outcome: Outcome, tests: str) -> tuple[str, str | None]:
    """Label and explanation of a verdict; ``missing_package`` where the program asks for one that the boxes lack.

    Args:
        tests: what the task itself brings to run; a package that it imports is none of the program's business.

    Raises:
        ServiceError: the box failed, or lacks a package that `tests` import: neither says anything of the program.
    """
    if outcome.status == "sandbox_error":
        if named := _NO_MODULE.search(outcome.explanation or ""):
            raise ServiceError(_unready(bench, named[1]))
        raise ServiceError(f"{bench.task}: the sandbox failed, not the program: {outcome.explanation}")
    package = await missing_package(outcome, boxes_of(bench))
    if package is None:
        return outcome.status, outcome.explanation
    if re.search(rf"^\s*(?:from|import)\b.*\b{package}\b", tests, re.MULTILINE):
        raise ServiceError(_unready(bench, package))
    return "missing_package", told_missing(package)


def _unready(bench: Bench, package: str) -> str:
    return f"{bench.task}: the tests of sample {bench.sample.id} import {package}: {told_missing(package)}."


def facts_of(outcome: Outcome) -> dict[str, Any]:
    """Details of a verdict."""
    facts: dict[str, Any] = {
        "level": outcome.level,
        "in_box": outcome.in_box,
        "seconds": round(outcome.seconds, 3),
    }
    for stream, text in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
        if text:
            facts[stream] = text[-TAIL:]
    return facts


def fault_of(source: str) -> str | None:
    """Why a text is no Python program; None where it is one."""
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(source)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno})" if error.lineno else error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__
    return None
