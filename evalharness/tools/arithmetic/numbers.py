"""Numbers of a calculator: rationals as long as they can be exact, else floats; bounded, and written for readers."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction

Number = Fraction | float

DIGITS = 1_000
"""Of the largest numerator and denominator."""
_LIMIT = 10**DIGITS
PLACES = 30
"""Decimal places up to which an exact result is written out."""
SIGNIFICANT = 15
"""Digits of a result that is not: a float holds so many whatever its value."""


class NoValueError(ValueError):
    """Why an expression has no value, or none that is worked out, as one sentence for who wrote it."""


def calculated(operator: str, left: Number, right: Number) -> Number:
    """What ``left operator right`` is worth; the operators and their meaning are Python's.

    Raises:
        NoValueError: a division by zero, a root of a negative number, a result of too many digits.
    """
    try:
        return bounded(_OPERATORS[operator](left, right))
    except ZeroDivisionError:
        raise NoValueError("division by zero has no value.") from None
    except OverflowError:
        raise _too_large() from None


def bounded(value: Number | int) -> Number:
    """The value, once it is known to be one that can be worked with.

    Raises:
        NoValueError: it has more than `DIGITS` digits, or is no number at all.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _too_large()
        return value
    value = Fraction(value)
    if _largest_part(value) >= _LIMIT:
        raise _too_large()
    return value


def written(value: Number) -> str:
    """As few digits as say it: all of a whole number or a short decimal, else 15 significant ones.

    >>> written(Fraction(1, 8)), written(Fraction(1, 3)), written(2.0)
    ('0.125', '0.333333333333333', '2')
    """
    if isinstance(value, float):
        return f"{value:.{SIGNIFICANT}g}"
    if value.denominator == 1:
        return str(value.numerator)
    with localcontext(prec=DIGITS + PLACES):
        shown = Decimal(value.numerator) / Decimal(value.denominator)
        if is_short(value):
            return f"{shown:f}"
    return f"{shown:.{SIGNIFICANT}g}"


def is_short(value: Number) -> bool:
    """Whether `written` says it exactly: a rational with at most `PLACES` decimal places."""
    return isinstance(value, Fraction) and 10**PLACES % value.denominator == 0


def root(value: Fraction, degree: int) -> Fraction | None:
    """The root of this degree where it is rational, else None. `value` is not negative."""
    top, bottom = _whole_root(value.numerator, degree), _whole_root(value.denominator, degree)
    return None if top is None or bottom is None else Fraction(top, bottom)


def _whole_root(number: int, degree: int) -> int | None:
    try:
        near = math.isqrt(number) if degree == 2 else round(number ** (1 / degree))
    except OverflowError:
        return None
    return near if near**degree == number else None


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if exponent.denominator == 1:
            return _whole_power(base, exponent.numerator)
        if base >= 0 and (exact := root(base, exponent.denominator)) is not None:
            return _whole_power(exact, exponent.numerator)
    if base < 0 and exponent != int(exponent):
        raise NoValueError("a power of a negative number with a broken exponent has no real value.")
    value: float = float(base) ** float(exponent)
    return value


def _whole_power(base: Fraction, exponent: int) -> Fraction:
    # A number of b bits is at least 2^(b-1), so this refuses nothing that `bounded` would let pass.
    if (_largest_part(base).bit_length() - 1) * abs(exponent) > _LIMIT.bit_length():
        raise _too_large()
    return Fraction(base**exponent)


def _largest_part(value: Fraction) -> int:
    return max(abs(value.numerator), value.denominator)


def _too_large() -> NoValueError:
    return NoValueError(f"the result is too large: it has more than {DIGITS:,} digits, or is beyond a float.")


_OPERATORS: dict[str, Callable[[Number, Number], Number | int]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: left // right,
    "%": lambda left, right: left % right,
    "**": _power,
}
