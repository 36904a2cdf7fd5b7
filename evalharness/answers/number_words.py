"""English number words, from zero to the hundreds of millions."""

from __future__ import annotations

import re

_UNITS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_TEENS = {
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "thirteen": 13,
    "fourteen": 14,
    "fifteen": 15,
    "sixteen": 16,
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
}
_TENS = {
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}
_SMALL = {"zero": 0, "a": 1, **_UNITS, **_TEENS, **_TENS}
_LARGE = {"thousand": 1_000, "million": 1_000_000}


def _any(words: dict[str, int]) -> str:
    return "(?:" + "|".join(sorted(words, key=len, reverse=True)) + ")"


_BELOW_100 = rf"(?:{_any(_TENS)}(?:[-\s]{_any(_UNITS)})?|{_any(_TEENS)}|{_any(_UNITS)})"
_BELOW_1000 = rf"(?:(?:a|{_any(_TEENS)}|{_any(_UNITS)})\shundred(?:\s(?:and\s)?{_BELOW_100})?|{_BELOW_100})"
_GAP = r"(?:,?\s(?:and\s)?)"

NUMBER_WORDS = (
    rf"\b(?:zero"
    rf"|(?:a|{_BELOW_1000})\smillion(?:{_GAP}{_BELOW_1000}\sthousand)?(?:{_GAP}{_BELOW_1000})?"
    rf"|(?:a|{_BELOW_1000})\sthousand(?:{_GAP}{_BELOW_1000})?"
    rf"|{_BELOW_1000})\b"
)
"""Pattern (to be compiled ignoring case) of one number in words: "twenty-five", "a hundred and two"."""

_WORD = re.compile(r"[a-z]+")


def value_of_words(text: str) -> int:
    """The number that a match of `NUMBER_WORDS` says.

    >>> value_of_words("two thousand, three hundred and five")
    2305
    """
    total = group = 0
    for word in _WORD.findall(text.lower()):
        if word in _LARGE:
            total, group = total + group * _LARGE[word], 0
        elif word == "hundred":
            group *= 100
        else:
            group += _SMALL.get(word, 0)  # "and" adds nothing
    return total + group
