"""The functions and constants that an expression may name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from evalharness.tools.arithmetic.numbers import DIGITS, NoValueError, Number, bounded, calculated, root

Function = Callable[..., Number | int]

CONSTANTS: dict[str, Number] = {"pi": math.pi, "e": math.e}

LARGEST_FACTORIAL = 449
"""The factorial of 450 has 1,001 digits."""


def applied(name: str, arguments: Sequence[Number]) -> Number:
    """What a function of `FUNCTIONS` makes of its arguments.

    Raises:
        NoValueError: it takes another number of arguments, or has no value there.
    """
    function, fewest, most = FUNCTIONS[name]
    if not fewest <= len(arguments) <= most:
        wanted = f"{fewest}" if fewest == most else f"{fewest} or more" if most == MANY else f"{fewest} or {most}"
        raise NoValueError(f"{name} takes {wanted} argument{'s' * (wanted != '1')}, not {len(arguments)}.")
    try:
        return bounded(function(*arguments))
    except NoValueError:
        raise
    except (ValueError, ZeroDivisionError):
        raise NoValueError(f"{name} has no value there.") from None
    except OverflowError:
        raise NoValueError(f"{name} is too large there.") from None


def _square_root(value: Number) -> Number:
    exact = root(value, 2) if isinstance(value, Fraction) and value >= 0 else None
    return math.sqrt(value) if exact is None else exact


def _cube_root(value: Number) -> Number:
    exact = root(abs(value), 3) if isinstance(value, Fraction) else None
    if exact is None:
        return math.cbrt(value)
    return -exact if value < 0 else exact


def _round(value: Number, places: Number = Fraction(0)) -> Number:
    """As Python rounds: halves to the even neighbour."""
    count = _whole("round", places)
    if abs(count) > DIGITS:
        raise NoValueError(f"round takes at most {DIGITS:,} places.")
    return value.__round__(count)


def _log(value: Number, base: Number | None = None) -> float:
    if base is None:
        return math.log(value)
    exact = {Fraction(2): math.log2, Fraction(10): math.log10}.get(Fraction(base))
    return exact(value) if exact else math.log(value, base)


def _factorial(value: Number) -> int:
    number = _whole("factorial", value)
    if number > LARGEST_FACTORIAL:
        raise NoValueError(f"factorial is worked out up to {LARGEST_FACTORIAL}.")
    return math.factorial(number)


def _of_whole(name: str, function: Callable[..., int]) -> Function:
    return lambda *values: function(*(_whole(name, value) for value in values))


def _whole(name: str, value: Number) -> int:
    if value != int(value):
        raise NoValueError(f"{name} takes whole numbers.")
    return int(value)


MANY = 1_000

FUNCTIONS: dict[str, tuple[Function, int, int]] = {
    "abs": (abs, 1, 1),
    "acos": (math.acos, 1, 1),
    "asin": (math.asin, 1, 1),
    "atan": (math.atan, 1, 1),
    "cbrt": (_cube_root, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "cos": (math.cos, 1, 1),
    "degrees": (math.degrees, 1, 1),
    "exp": (math.exp, 1, 1),
    "factorial": (_factorial, 1, 1),
    "floor": (math.floor, 1, 1),
    "gcd": (_of_whole("gcd", math.gcd), 1, MANY),
    "lcm": (_of_whole("lcm", math.lcm), 1, MANY),
    "ln": (math.log, 1, 1),
    "log": (_log, 1, 2),
    "log10": (math.log10, 1, 1),
    "log2": (math.log2, 1, 1),
    "max": (lambda *values: max(values), 1, MANY),
    "min": (lambda *values: min(values), 1, MANY),
    "pow": (lambda base, exponent: calculated("**", base, exponent), 2, 2),
    "radians": (math.radians, 1, 1),
    "round": (_round, 1, 2),
    "sin": (math.sin, 1, 1),
    "sqrt": (_square_root, 1, 1),
    "sum": (lambda *values: sum(values), 1, MANY),
    "tan": (math.tan, 1, 1),
}
"""By name: the function, and how few and how many arguments it takes. `log` is the natural one, or to a second
argument as its base; angles are radians."""
