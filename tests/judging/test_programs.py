"""A package that is not there: whose fault that is, and that nobody can make himself uncounted by naming one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from evalharness.errors import ServiceError
from evalharness.judging.base import Bench
from evalharness.judging.programs import fault_of, labelled
from evalharness.sandbox.choose import choose
from evalharness.sandbox.pool import Pool
from evalharness.types import Attempt, Reference, Sample

TELLS = "Python of the boxes has no package 'no_such_package'; --sandbox-python names an interpreter that has it"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool(choose(), workers=1)
    yield pool
    pool.close()


def _labelled(pool: Pool, program: str, tests: str, *, setup: str = "", in_box: bool = True) -> tuple[str, str | None]:
    bench = Bench(
        task="own",
        sample=Sample(id="7", index=7, row={}, content_hash="c"),
        reference=Reference(),
        attempt=Attempt(calls=()),
        sandbox=pool,
    )

    async def judged() -> tuple[str, str | None]:
        outcome = await pool.test(program, tests=tests, calls=["f"], setup=setup, in_box=in_box)
        return await labelled(bench, outcome, f"{setup}\n{tests}")

    return asyncio.run(judged())


@pytest.mark.parametrize("in_box", [True, False])
def test_a_program_that_asks_for_one(pool: Pool, in_box: bool) -> None:
    program = "def f():\n    import no_such_package"
    assert _labelled(pool, program, "f()", in_box=in_box) == ("missing_package", TELLS)


@pytest.mark.parametrize("in_box", [True, False])
@pytest.mark.parametrize(
    ("setup", "tests"),
    [
        ("", "import no_such_package\nf()"),
        ("import json, no_such_package", "f()"),
        ("", 'context = """\nfrom no_such_package import it\n"""\nexec(context)'),
    ],
)
def test_tests_that_ask_for_one(pool: Pool, setup: str, tests: str, in_box: bool) -> None:
    with pytest.raises(ServiceError) as error:
        _labelled(pool, "def f(): pass", tests, setup=setup, in_box=in_box)
    assert str(error.value) == f"own: the tests of sample 7 import no_such_package: {TELLS}."


def test_a_program_cannot_blame_what_is_there(pool: Pool) -> None:
    program = "def f():\n    raise ModuleNotFoundError(\"No module named 'json'\")"
    label, why = _labelled(pool, program, "import json\nf()")
    assert (label, why) == ("fail", "ModuleNotFoundError: No module named 'json' in f()")


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x = 1", None),
        ("x = (", "'(' was never closed (line 1)"),
        ("\0", "source code string cannot contain null bytes"),
    ],
)
def test_what_is_no_program(source: str, fault: str | None) -> None:
    assert fault_of(source) == fault
