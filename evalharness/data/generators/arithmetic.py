"""Arithmetic in words: sums, differences and products of whole numbers.

After Brown et al. 2020, arXiv:2005.14165 (section 3.9.1): sums and differences of two and three digits in the
demonstrations and in ``test``, of four and five in ``test_longer``; products of two numbers of two digits in
``test_products``; three numbers of one digit with brackets in ``test_composite``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from random import Random
from typing import Any

from evalharness.data.generators.splits import IN_DOMAIN, LONGER, ROWS, distinct, random_stream
from evalharness.errors import DataError, nearest

PRODUCTS = "test_products"
COMPOSITE = "test_composite"
SPLITS = (*IN_DOMAIN, LONGER, PRODUCTS, COMPOSITE)

_WORDS = {"+": "plus", "-": "minus", "*": "times"}


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question``, ``answer``, ``digits`` (of each number) and ``parts``.

    Numbers are drawn evenly from all of at most so many digits, as in the paper.

    Raises:
        DataError: no such split.
    """
    if split not in SPLITS:
        raise DataError(f"generated data have no split '{split}'; {nearest(split, SPLITS)}")
    stream = random_stream("arithmetic", split)
    draw = _draws(stream)[split]
    return [_row(parts) for parts in islice(distinct(draw, split), ROWS)]


def _draws(stream: Random) -> dict[str, Callable[[], tuple[str, ...]]]:
    """By split: the number of digits, then the numbers with the signs between them."""

    def pair(digits: int, signs: str) -> tuple[str, ...]:
        one, other = (str(stream.randrange(10**digits)) for _ in range(2))
        return (str(digits), one, stream.choice(signs), other)

    def composite() -> tuple[str, ...]:
        first, second, third = (str(stream.randrange(10)) for _ in range(3))
        # The brackets stand around the last two numbers.
        return ("1", first, stream.choice("+-*"), second, stream.choice("+-*"), third)

    return {
        **dict.fromkeys(IN_DOMAIN, lambda: pair(stream.choice((2, 3)), "+-")),
        LONGER: lambda: pair(stream.choice((4, 5)), "+-"),
        PRODUCTS: lambda: pair(2, "*"),
        COMPOSITE: composite,
    }


def _row(drawn: tuple[str, ...]) -> dict[str, Any]:
    digits, first, sign, second, *rest = drawn
    if rest:
        asked = f"{first}{sign}({second}{rest[0]}{rest[1]})"
        answer = _value(int(first), sign, _value(int(second), rest[0], int(rest[1])))
    else:
        asked = f"{first} {_WORDS[sign]} {second}"
        answer = _value(int(first), sign, int(second))
    return {"question": f"What is {asked}?", "answer": str(answer), "digits": int(digits), "parts": list(drawn[1:])}


def _value(one: int, sign: str, other: int) -> int:
    return {"+": one + other, "-": one - other, "*": one * other}[sign]
