"""What tests use of the program that they test."""

from __future__ import annotations

import pytest

from evalharness.errors import DataError
from evalharness.prompting.code_filters import functions_used, needs_one_process
from evalharness.prompting.templates import Expression

PROGRAM = """
import math
LIMIT = 5
class Pair:
    pass
def sum(a, b):
    return helper(a) + b
def helper(a):
    return a
def unused():
    def inner(): pass
"""


@pytest.mark.parametrize(
    ("tests", "names"),
    [
        ("assert sum(1, 2) == 3", ["sum"]),
        ("assert helper(sum(1, 2)) == helper(3)", ["helper", "sum"]),
        ("x = map(helper, [1])\nassert sorted(x) == [1]", ["helper"]),
        ("assert other(1) == len([1])", []),
        ("inner()", []),
        ("", []),
    ],
)
def test_functions_used(tests: str, names: list[str]) -> None:
    assert functions_used(tests, PROGRAM) == names


@pytest.mark.parametrize(
    ("tests", "one"),
    [
        ("assert sum(1, 2) == 3", False),
        ("assert sum(1, 2) == LIMIT", True),
        ("assert sum(Pair(), 2)", True),
        ("assert math.isclose(sum(1, 2), 3)", True),
        ("import math\nassert math.isclose(sum(1, 2), 3)", False),
        ("LIMIT = 3\nassert sum(1, 2) == LIMIT", False),
        ("assert sum(1, int)", True),
        ("assert sum(a=1, b=int)", True),
        ("assert sum(int('1'), len('ab')) == 3", False),
        ("assert sum(lambda x: x, 1)", True),
        ("assert isinstance(sum(1, 2), int)", False),
        ("assert max([1, 2], key=lambda x: helper(x)) == 2", False),
        ("assert other(int)", False),
    ],
)
def test_needs_one_process(tests: str, one: bool) -> None:
    assert needs_one_process(tests, PROGRAM) is one


def test_they_are_filters_and_a_text_that_is_no_python_is_told_of() -> None:
    calls = Expression("{{ tests | functions_used(code) }}", "own.yaml: judging[0].calls")
    assert calls({"tests": "f()", "code": "def f(): pass"}) == ["f"]
    with pytest.raises(DataError, match=r"own\.yaml: judging\[0\]\.calls: the template fails on a row: SyntaxError"):
        calls({"tests": "f(", "code": "def f(): pass"})
