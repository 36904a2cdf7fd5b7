"""Roman numerals to numbers and back."""

from __future__ import annotations

import re

VALUES = (
    ("M", 1000), ("CM", 900), ("D", 500), ("CD", 400), ("C", 100), ("XC", 90), ("L", 50), ("XL", 40), ("X", 10),
    ("IX", 9), ("V", 5), ("IV", 4), ("I", 1),
)  # fmt: skip
PATTERN = re.compile(r"\b(?=[MDCLXVI])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})\b")


def numeral(number: int) -> str:
    """1994 -> MCMXCIV."""
    said = ""
    for letters, value in VALUES:
        count, number = divmod(number, value)
        said += letters * count
    return said


def number(numeral: str) -> int:
    """MCMXCIV -> 1994."""
    total, rest = 0, numeral
    for letters, value in VALUES:
        while rest.startswith(letters):
            total, rest = total + value, rest[len(letters) :]
    return total
