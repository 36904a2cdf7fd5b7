from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.tools.arithmetic.numbers import NoValueError, bounded, calculated, is_short, root, written


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(24), "24"),
        (Fraction(-3, 8), "-0.375"),
        (Fraction(1, 3), "0.333333333333333"),
        (Fraction(-200, 3), "-66.6666666666667"),
        (Fraction(1, 10**30), "0.000000000000000000000000000001"),
        (Fraction(1, 10**31), "1e-31"),
        (Fraction(10**400, 3), "3.33333333333333e+399"),
        (Fraction(10**20), "100000000000000000000"),
        (2.0, "2"),
        (0.1 + 0.2, "0.3"),
        (1e300, "1e+300"),
    ],
)
def test_as_few_digits_as_say_it(value: Fraction | float, text: str) -> None:
    assert written(value) == text


@given(st.fractions(min_value=-(10**12), max_value=10**12))
def test_what_is_written_is_the_value_or_near_it(value: Fraction) -> None:
    said = Fraction(Decimal(written(value)))
    assert said == value if is_short(value) else abs(said - value) <= abs(value) * Fraction(1, 10**14)


@given(st.integers(0, 10**18), st.integers(1, 10**6), st.integers(2, 9))
def test_rational_roots_are_found(top: int, bottom: int, degree: int) -> None:
    value = Fraction(top % 10**4, bottom % 10**4 + 1)
    assert root(value**degree, degree) == value
    found = root(Fraction(top, bottom), degree)
    assert found is None or found**degree == Fraction(top, bottom)


@pytest.mark.parametrize(
    ("base", "exponent", "value"),
    [
        (Fraction(4), Fraction(1, 2), 2),
        (Fraction(8, 27), Fraction(2, 3), Fraction(4, 9)),
        (Fraction(27), Fraction(-1, 3), Fraction(1, 3)),
        (Fraction(10**300), Fraction(1, 2), 10**150),
        (Fraction(-1), Fraction(10**900), 1),
        (Fraction(0), Fraction(0), 1),
        (Fraction(0), Fraction(1, 2), 0),
    ],
)
def test_powers_are_exact_where_they_can_be(base: Fraction, exponent: Fraction, value: object) -> None:
    found = calculated("**", base, exponent)
    assert isinstance(found, Fraction)
    assert found == value


@pytest.mark.parametrize(
    ("operator", "left", "right", "told"),
    [
        ("/", Fraction(1), Fraction(0), "division by zero"),
        ("%", Fraction(1), 0.0, "division by zero"),
        ("**", Fraction(0), Fraction(-1), "division by zero"),
        ("**", Fraction(-8), Fraction(1, 3), "no real value"),
        ("**", Fraction(0), -0.5, "division by zero"),
        ("**", Fraction(10), 400.5, "too large"),
        ("*", Fraction(10**999), 1.5, "too large"),
        ("*", 1e300, 1e300, "too large"),
        ("**", Fraction(1, 7), Fraction(10**6), "too large"),
    ],
)
def test_what_has_no_value_is_said(operator: str, left: Fraction | float, right: Fraction | float, told: str) -> None:
    with pytest.raises(NoValueError, match=told):
        calculated(operator, left, right)


def test_no_number_is_refused() -> None:
    with pytest.raises(NoValueError):
        bounded(float("nan"))
