from __future__ import annotations

import asyncio
from typing import Any

import pytest

from evalharness.options import Options
from evalharness.tools.base import Resources
from evalharness.tools.calculator import Calculator
from evalharness.types import ToolUse


def use(arguments: Any) -> ToolUse:
    return asyncio.run(Calculator(Options(), Resources()).use(arguments))


@pytest.mark.parametrize(
    ("expression", "result", "details"),
    [
        ("<<48/2=24>>", "24", {}),
        ("0.1 + 0.2", "0.3", {}),
        ("1/3", "0.333333333333333", {"exact": "1/3"}),
        ("sqrt(2)", "1.4142135623731", {}),
        ("5% * 1,200", "60", {}),
    ],
)
def test_an_expression_has_a_result(expression: str, result: str, details: dict[str, str]) -> None:
    assert use({"expression": expression}) == ToolUse(
        tool="calculator", arguments={"expression": expression}, result=result, details=details
    )


def test_no_expression_and_no_value_are_counted_apart() -> None:
    wrong, worthless = use({"expression": "import os"}), use('{"expression": "1 / 0"}')
    assert wrong.status == "invalid"
    assert wrong.result == (
        "at character 1 of the expression the name 'import' is unknown; known are abs, acos, asin, atan, cbrt, ceil, "
        "cos, degrees, exp, factorial, floor, gcd, lcm, ln, log, log10, log2, max, min, pow, radians, round, sin, "
        "sqrt, sum, tan, pi, e."
    )
    assert (worthless.status, worthless.result) == ("error", "division by zero has no value.")


def test_a_number_is_no_expression() -> None:
    found = use({"expression": 3})
    assert (found.status, found.result) == (
        "invalid",
        "calculator: the argument 'expression' must be a string, not 3.",
    )
