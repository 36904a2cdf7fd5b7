"""Numbers as people and models write them, compared by value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from math import gcd
from typing import Literal

from evalharness.answers.base import pick
from evalharness.answers.marked import MarkedParser, announced
from evalharness.answers.number_words import NUMBER_WORDS, value_of_words
from evalharness.types import Parsed

# The first thing a search looks for is a digit, and only then what stands before it: this is what makes it
# quick. Digits that belong to a name, an index or a power (H2O, x_1, m^2, 10^{6}) are no number, nor is a
# base (10^6). Long runs of digits are bounded where they are computed with.
_NUMBER = r"""
    [0-9] (?<! [A-Za-z0-9_^] [0-9] ) (?<! \^\{ [0-9] )
    (?P<after_slash> (?<= / [0-9] ) )?
    [0-9]*+
    (?:
        (?(after_slash) (?!) )                                                  # 12/25/2020 is no fraction
        (?<! [0-9]{301} )
        (?: [ ] (?P<numerator> [0-9]{1,300} ) )?
        [ ]? / [ ]? (?P<denominator> 0*[1-9][0-9]{0,299} ) (?! [ ]?/ | \.?[0-9] )
      |
        (?: (?<! [0-9]{4} ) (?P<thousands> (?: ,[0-9]{3} )+ (?! [0-9] ) ) )?
        (?P<decimals> \. [0-9]++ )?
        (?:
            [eE] (?P<exponent> [-+]?[0-9]{1,3} ) (?! [A-Za-z0-9] )
          | [ ]? (?: [x×*] | \\times | \\cdot ) [ ]? 10 [ ]? (?: \^ | \*\* ) [ ]?
            \{? (?P<power> [-+]?[0-9]{1,3} ) (?! [0-9] ) \}?
        )?
    )
    (?! \^ | [eE][-+]?[0-9] )
"""
_LATEX_FRACTION = r"""
    (?P<latex_whole> [0-9]{1,300} )?
    \\[dt]?frac
    \{ (?P<latex_minus> - )? (?P<latex_numerator> [0-9]{1,300} ) \}
    \{ (?P<latex_denominator> 0*[1-9][0-9]{0,299} ) \}
"""
_LEADING_DIGITS = re.compile(r"[0-9]+")
_BEFORE = re.compile(
    r"""
    (?P<minus> (?<! [\w)\]}%—–−-] ) [-−–] )?            # 7-5 and 7--5 hold no sign
    (?: \\?[$€£¥₹] [ ]? (?P<inner_minus> [-−–] )? )?
    (?P<point> (?<! [\w.)\]] ) \. )?                    # .5
    \Z
    """,
    re.VERBOSE | re.ASCII,
)
_LONGEST_BEFORE = 7
"""Characters of the longest match of `_BEFORE`, and one to look behind it."""


class NumberParser(MarkedParser):
    """Integers, decimals, thousands separators, currency, percentages, fractions, scientific notation.

    Behind a marker the first number of the sentence counts, or the first one behind its last equals sign
    ("the answer is 6 * 3 = 18 eggs"). Numbers equal in value have one canonical form: ``18`` for "18.0" and
    "$18.00", ``1000`` for "1,000", ``0.75`` for "3/4", ``1/3`` for what no decimal says. A percent sign does
    not divide.
    """

    parser: str = "number"
    words: bool = False
    """Read English number words too: "twenty-five"."""
    otherwise: Literal["nothing"] | None = None
    """What is read of a text without a marker: nothing; unless given, its last number (its first, by `which`), which
    in a reasoning that came to no end is no answer."""

    def read_marked(self, text: str, start: int, choices: Sequence[str]) -> Parsed | None:
        begin, end = announced(text, start)
        equals = text.rfind("=", begin, end)
        found = next(self._numbers(text, equals + 1, end), None) if equals >= 0 else None
        found = found or next(self._numbers(text, begin, end), None)
        return _parsed(text, found) if found else None

    def read_unmarked(self, text: str, choices: Sequence[str]) -> Parsed:
        if self.otherwise == "nothing":
            return Parsed(None, why="no marker with a number behind it is in the text")
        return self._unannounced(text)

    def canonical(self, target: str) -> str:
        if target.isascii() and target.isdigit():  # most targets
            return target.lstrip("0") or "0"
        return self.parse(target).value or self._unannounced(target).value or target.strip()

    def _unannounced(self, text: str) -> Parsed:
        found = pick(self._numbers(text, 0, len(text)), self.which)
        return _parsed(text, found) if found else Parsed(None, why="there is no number in the text")

    def _numbers(self, text: str, start: int, end: int) -> Iterator[re.Match[str]]:
        return _pattern("frac" in text, self.words).finditer(text, start, end)


@cache
def _pattern(latex: bool, words: bool) -> re.Pattern[str]:
    forms = [_LATEX_FRACTION] * latex + [_NUMBER] + [rf"(?P<words>(?i:{NUMBER_WORDS}))"] * words
    return re.compile("|".join(forms), re.VERBOSE)


def _parsed(text: str, found: re.Match[str]) -> Parsed:
    groups = found.groupdict()
    if groups.get("words"):
        return Parsed(str(value_of_words(found[0])), found.span())
    before = _BEFORE.search(text[max(0, found.start() - _LONGEST_BEFORE) : found.start()])
    assert before is not None  # it matches the empty text
    value = _magnitude(found, groups, point=before["point"] is not None)
    minus = bool(before["minus"] or before["inner_minus"]) != bool(groups.get("latex_minus"))
    return Parsed(f"-{value}" if minus and value != "0" else value, (found.start() - len(before[0]), found.end()))


def _magnitude(found: re.Match[str], groups: dict[str, str | None], point: bool) -> str:
    """Canonical form of the number without its sign; `point` says that a decimal point stands before it."""
    if groups.get("latex_denominator"):
        return _fraction(
            groups["latex_whole"] or "0", groups["latex_numerator"] or "", groups["latex_denominator"] or ""
        )
    leading = _LEADING_DIGITS.match(found[0])
    assert leading is not None  # every number begins with a digit
    if groups["denominator"]:
        whole, numerator = (leading[0], groups["numerator"]) if groups["numerator"] else ("0", leading[0])
        return _fraction(whole, numerator, groups["denominator"])
    digits = leading[0] + (groups["thousands"] or "").replace(",", "")
    power = int(groups["exponent"] or groups["power"] or 0)
    if point and not groups["decimals"]:
        return _decimal("", digits, power)
    return _decimal(digits, (groups["decimals"] or ".")[1:], power)


def _fraction(whole: str, numerator: str, denominator: str) -> str:
    """Canonical form of ``whole + numerator / denominator``: a decimal where it ends, else in lowest terms."""
    bottom = int(denominator)
    top = int(whole) * bottom + int(numerator)
    divisor = gcd(top, bottom)
    top, bottom = top // divisor, bottom // divisor
    twos, rest = _factor(bottom, 2)
    fives, rest = _factor(rest, 5)
    if rest != 1:
        return f"{top}/{bottom}"
    places = max(twos, fives)
    return _decimal(str(top * 2 ** (places - twos) * 5 ** (places - fives)), "", -places)


def _factor(number: int, prime: int) -> tuple[int, int]:
    """How often `prime` divides `number`, and what is left."""
    times = 0
    while number % prime == 0:
        number, times = number // prime, times + 1
    return times, number


def _decimal(whole: str, decimals: str, power: int) -> str:
    """Canonical form of ``whole.decimals * 10^power``, made by moving the point: exact at any length."""
    digits, point = whole + decimals, len(whole) + power
    if point < 0:
        digits, point = "0" * -point + digits, 0
    digits = digits.ljust(point, "0")
    whole, decimals = digits[:point].lstrip("0") or "0", digits[point:].rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole
