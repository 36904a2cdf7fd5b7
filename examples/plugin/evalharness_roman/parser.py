"""A parser: the last Roman numeral of a text, as a number in digits."""

from __future__ import annotations

from collections.abc import Sequence

from evalharness.answers.base import Parser
from evalharness.types import Parsed
from evalharness_roman.numerals import PATTERN, number


class RomanParser(Parser):
    """Finds ``MCMXCIV`` in "It is MCMXCIV." and reads it as ``1994``."""

    parser: str = "roman"

    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        found = [*PATTERN.finditer(text)]
        if not found:
            return Parsed(None, why="there is no Roman numeral in the text")
        return Parsed(str(number(found[-1][0])), found[-1].span())

    def canonical(self, target: str) -> str:
        """A right answer in the form of `parse`: a target may be written either way."""
        return target if target.isdigit() else str(number(target))
