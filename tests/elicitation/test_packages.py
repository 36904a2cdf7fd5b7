"""Whether a package is missing is asked of a box, never of what a program says."""

from __future__ import annotations

import asyncio

import pytest

from evalharness.elicitation.packages import missing_package, told_missing
from evalharness.sandbox.choose import choose
from evalharness.sandbox.outcome import Outcome
from evalharness.sandbox.pool import Pool


def _missing(source: str) -> str | None:
    async def found() -> str | None:
        return await missing_package(await pool.run(source), pool)

    pool = Pool(choose(), workers=1)
    try:
        return asyncio.run(found())
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("import no_such_package", "no_such_package"),
        ("from no_such_package.part import it", "no_such_package"),
        ("raise ModuleNotFoundError(\"No module named 'json'\")", None),
        ("import json.no_such_part", None),
        ("raise ModuleNotFoundError('sorry')", None),
        ("1 / 0", None),
        ("print(\"ModuleNotFoundError: No module named 'no_such_package'\")", None),
    ],
)
def test_what_is_missing(source: str, package: str | None) -> None:
    assert _missing(source) == package


def test_a_box_that_failed_says_nothing() -> None:
    outcome = Outcome(status="sandbox_error", explanation="ModuleNotFoundError: No module named 'json'")
    assert asyncio.run(missing_package(outcome, None)) is None  # type: ignore[arg-type]


def test_the_clause_says_what_would_help() -> None:
    assert "--sandbox-python" in told_missing("numpy")
