"""Expressions are worth what Python's own exact arithmetic makes of them; what is no expression is refused at once."""

from __future__ import annotations

import ast
import math
import operator
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.tools.arithmetic.numbers import DIGITS, NoValueError
from evalharness.tools.arithmetic.reader import DEEPEST, LONGEST, NotAnExpressionError, evaluate

# --------------------------------------------------------------------------- against Python

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def python(text: str) -> Fraction:
    """What Python makes of the expression, its constants read as the fractions that they spell."""

    def value(node: ast.expr) -> Fraction:
        match node:
            case ast.Constant():
                return Fraction(ast.get_source_segment(text, node) or "")
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.UnaryOp(operand=operand):
                return value(operand)
            case ast.BinOp(left=left, op=op, right=right):
                return Fraction(_BINARY[type(op)](value(left), value(right)))
        raise AssertionError(ast.dump(node))

    return value(ast.parse(text, mode="eval").body)


NUMBERS = st.one_of(
    st.integers(0, 10**9).map(str),
    st.decimals(0, 1000, allow_nan=False, allow_infinity=False, places=3).map(lambda number: f"{number:f}"),
    st.sampled_from([".5", "2.", "1e3", "2.5E-2"]),
)
SPACE = st.sampled_from(["", " "])


@st.composite
def _binary(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    sign = draw(st.sampled_from(["+", "-", "*", "/", "//"]))
    return f"{draw(inner)}{draw(SPACE)}{sign}{draw(SPACE)}{draw(inner)}"


@st.composite
def _remainder(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    """A remainder of parenthesised parts: before a sign its percent sign would be refused as ambiguous."""
    return f"({draw(inner)}){draw(SPACE)}%{draw(SPACE)}({draw(inner)})"


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-{text}"),
        inner.map(lambda text: f"+ {text}"),
        st.tuples(inner, st.integers(-3, 3)).map(lambda pair: f"({pair[0]})**{pair[1]}"),
        _binary(inner),
        _remainder(inner),
    )


EXPRESSIONS = st.recursive(NUMBERS, _wider, max_leaves=12)


@given(EXPRESSIONS)
def test_exact_arithmetic_is_pythons(text: str) -> None:
    try:
        expected = python(text)
    except ZeroDivisionError:
        assert _told(text) == "division by zero has no value."
        return
    told = _told(text)
    if told is None:
        assert evaluate(text) == expected
    else:
        assert "the result is too large" in told


@given(st.text(alphabet="0123456789.,+-*/%^()<>= eEpisqrtmax$_", max_size=40))
def test_any_text_has_a_value_or_a_sentence(text: str) -> None:
    told = _told(text)
    if told is None:
        assert isinstance(evaluate(text), Fraction | float)
    else:
        assert told.endswith(".")
        assert "\n" not in told


def _told(text: str) -> str | None:
    """What is said of a text without a value."""
    try:
        evaluate(text)
    except (NotAnExpressionError, NoValueError) as error:
        return str(error)
    return None


# --------------------------------------------------------------------------- what it reads


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-2**2", -4),
        ("2**3**2", 512),
        ("2**-2", Fraction(1, 4)),
        ("2^10", 1024),
        ("- -3", 3),
        ("7 // 2 + -7 // 2", -1),
        ("-7 % 3", 2),
        ("7 % (-3)", -2),
        ("20% * 50", 10),
        ("100 * (1 - 20%)", 80),
        ("5%", Fraction(1, 20)),
        ("50%%", Fraction(1, 200)),
        ("50%3", 2),
        ("50 % 3", 2),
        ("1,000 * 3", 3000),
        ("1,234,567.5", Fraction("1234567.5")),
        ("max(1,000, 5)", 5),
        ("(1,000 + 5) * 2", 2010),
        ("max((1), 2)", 2),
        ("$5 * 3", 15),
        ("6 × 7 − 8 ÷ 4 · 1", 40),
        ("48/2", 24),
        ("<<48/2=24>>", 24),
        ("<<48/2=", 24),
        ("48/2=", 24),
        ("= 48/2", 24),
        ("10 / 4 == 2.5", Fraction(5, 2)),
        ("0.1 + 0.2", Fraction(3, 10)),
        ("1e999 / 1e998", 10),
        ("PI - pi", 0),
        ("\n 1 +\t2 ", 3),
    ],
)
def test_what_is_read(text: str, value: object) -> None:
    assert evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the expression is empty; write one such as 48 / 2."),
        ("2 +", "at character 4 of the expression a number, a name or '(' is missing before the end."),
        ("2(3)", "at character 2 of the expression an operator is missing before '(3)'."),
        ("3 x 4", "at character 3 of the expression an operator is missing before 'x 4'."),
        ("(1 + 2", "at character 7 of the expression ')' is missing."),
        ("1 + 2)", "at character 6 of the expression nothing is known to begin with ')'."),
        ("1 < 2", "at character 3 of the expression nothing is known to begin with '< 2'."),
        ("0x10", "an operator is missing before 'x10'."),
        ("1_000", "an operator is missing before '_000'."),
        ("1..2", "an operator is missing before '.2'."),
        ("sqrt 4", "'(' is missing behind sqrt."),
        ("7 % -3", "'%' before a sign is a remainder or a percentage: write 7 % (-3), or (20%) - 5."),
        ("١ + 1", "a number, a name or '(' is missing before '١ + 1'."),
        ("1 if True else 2", "an operator is missing before 'if True else'."),
        ("__import__('os').system('true')", "the name '__import__' is unknown; known are abs, acos,"),
        ("().__class__", "a number, a name or '(' is missing before ').__class__'."),
        ("lambda: 1", "the name 'lambda' is unknown"),
        ("'a' * 9", "is missing before ''a' * 9'."),
        ("[1][0]", "is missing before '[1][0]'."),
    ],
)
def test_what_is_no_expression_is_one_sentence(text: str, told: str) -> None:
    with pytest.raises(NotAnExpressionError) as caught:
        evaluate(text)
    assert told in str(caught.value)


# --------------------------------------------------------------------------- what would not end

HOSTILE = {
    "tower": "9**9**9",
    "tower of carets": "9^9^9^9",
    "long": "1" * 10**6,
    "long sum": "1+" * 10**6 + "1",
    "nested": "(" * 10**5 + "1" + ")" * 10**5,
    "nested within the length": "(" * (LONGEST // 2 - 1) + "1" + ")" * (LONGEST // 2 - 1),
    "powers of powers": "2**" * 600 + "1",
    "powers of many": "(" * 40 + "9" + "**9)" * 40,
    "exponent": "1e999999999",
    "long exponent": "1e" + "9" * 1000,
    "factorial": "factorial(10**6)",
    "rounding": "round(1/3, 10**9)",
    "lcm": "lcm(10**999, 10**999 + 1)",
    "negative power": "0.001**999999",
    "denominators": "+".join(f"1/{number}" for number in range(1000, 1390)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_not_end_ends_within_milliseconds(name: str) -> None:
    began = time.process_time()
    with pytest.raises((NotAnExpressionError, NoValueError), match=r"more than|deeper|too large|at most|up to"):
        evaluate(HOSTILE[name])
    assert time.process_time() - began < 0.1


def test_signs_without_end_are_read() -> None:
    assert evaluate("-" * (LONGEST - 1) + "5") == (5 if (LONGEST - 1) % 2 == 0 else -5)


def test_the_limits_are_where_they_are_said_to_be() -> None:
    assert evaluate("(" * DEEPEST + "1" + ")" * DEEPEST) == 1
    with pytest.raises(NotAnExpressionError, match="nested deeper than 50 levels"):
        evaluate("(" * (DEEPEST + 1) + "1" + ")" * (DEEPEST + 1))
    assert evaluate("10**999") == 10**999
    with pytest.raises(NoValueError, match=f"more than {DIGITS:,} digits"):
        evaluate("10**1000")
    assert evaluate("1" + " " * (LONGEST - 1)) == 1
    with pytest.raises(NotAnExpressionError, match="more than 2,000 characters"):
        evaluate("1" + " " * LONGEST)


def test_pi_is_a_float() -> None:
    assert evaluate("2 * pi") == pytest.approx(2 * math.pi)
