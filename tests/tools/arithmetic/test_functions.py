from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest

from evalharness.tools.arithmetic.functions import FUNCTIONS
from evalharness.tools.arithmetic.numbers import NoValueError
from evalharness.tools.arithmetic.reader import evaluate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("abs(-3/2)", Fraction(3, 2)),
        ("round(2.675, 2)", Fraction("2.68")),
        ("round(2.5)", 2),
        ("round(1234, -2)", 1200),
        ("floor(-1.5)", -2),
        ("ceil(-1.5)", -1),
        ("min(3, 1/2, 2)", Fraction(1, 2)),
        ("max(7)", 7),
        ("sum(1, 2, 3.5)", Fraction("6.5")),
        ("sqrt(16/9)", Fraction(4, 3)),
        ("cbrt(-27)", -3),
        ("pow(2, 10)", 1024),
        ("gcd(12, 18)", 6),
        ("lcm(4, 6)", 12),
        ("factorial(20)", math.factorial(20)),
        ("factorial(449)", math.factorial(449)),
        ("log(1000, 10)", 3),
        ("log(8, 2)", 3),
        ("SQRT(4)", 2),
    ],
)
def test_exact_results(text: str, value: object) -> None:
    assert evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sqrt(2)", math.sqrt(2)),
        ("cbrt(-2)", -(2 ** (1 / 3))),
        ("exp(1)", math.e),
        ("ln(10)", math.log(10)),
        ("log(10)", math.log(10)),
        ("log(5, 7)", math.log(5, 7)),
        ("log2(10)", math.log2(10)),
        ("log10(5)", math.log10(5)),
        ("sin(pi / 6)", 0.5),
        ("cos(pi)", -1.0),
        ("tan(1)", math.tan(1)),
        ("asin(1)", math.pi / 2),
        ("acos(0)", math.pi / 2),
        ("atan(1)", math.pi / 4),
        ("degrees(pi)", 180.0),
        ("radians(180)", math.pi),
    ],
)
def test_floats(text: str, value: float) -> None:
    assert evaluate(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sqrt(-1)", "sqrt has no value there."),
        ("log(0)", "log has no value there."),
        ("log(10, 1)", "log has no value there."),
        ("log(4, 0)", "log has no value there."),
        ("asin(2)", "asin has no value there."),
        ("exp(1000)", "exp is too large there."),
        ("factorial(-1)", "factorial has no value there."),
        ("factorial(450)", "factorial is worked out up to 449."),
        ("factorial(1.5)", "factorial takes whole numbers."),
        ("gcd(1.5, 2)", "gcd takes whole numbers."),
        ("round(1, 0.5)", "round takes whole numbers."),
        ("round(1, 1001)", "round takes at most 1,000 places."),
        ("abs(1, 2)", "abs takes 1 argument, not 2."),
        ("pow(2)", "pow takes 2 arguments, not 1."),
        ("log(1, 2, 3)", "log takes 1 or 2 arguments, not 3."),
    ],
)
def test_what_has_no_value_is_said(text: str, told: str) -> None:
    with pytest.raises(NoValueError) as caught:
        evaluate(text)
    assert str(caught.value) == told


def test_every_function_is_tried_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in FUNCTIONS if f'"{name}(' not in source] == []
