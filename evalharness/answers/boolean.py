"""Yes or no, true or false."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import ClassVar, Self

from pydantic import Field, model_validator

from evalharness.answers.base import pick
from evalharness.answers.marked import MarkedParser, Marker, announced
from evalharness.types import Parsed

_DENIED = re.compile(r"(?:\bnot|n['’]t)(?:[ \t]+(?:a|an|the))?[ \t]+\Z", re.IGNORECASE)
"""What turns the word round that stands right behind it: "not true"."""
_LONGEST_DENIAL = 16
_BEFORE = r"(?:\A|(?<=[\n.,:;!?\"'“”’(\[*_{>—–-]))[\s\"'“(\[*_]{0,8}"
_AFTER = r"(?=\s*(?:[.,:;!?\"'”’)\]*_}<—–-]|\n|\Z))"


class BooleanParser(MarkedParser):
    """The words for yes and for no, as whole words in any case; the values are ``yes`` and ``no``.

    Words that stand apart count before words in a sentence: "Yes, a whale is a mammal. It has no gills" says yes. A
    word behind "not" says the other ("not true"), and "yes or no" says neither.
    """

    version: ClassVar[int] = 2
    parser: str = "boolean"
    yes: tuple[Marker, ...] = Field(("yes", "true"), min_length=1)
    """Words that say yes."""
    no: tuple[Marker, ...] = Field(("no", "false"), min_length=1)
    """Words that say no."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        both = {word.lower() for word in self.yes} & {word.lower() for word in self.no}
        if both:
            raise ValueError(f"the word '{min(both)}' cannot say both yes and no.")
        return self

    @cached_property
    def _values(self) -> dict[str, str]:
        return {**{word.lower(): "yes" for word in self.yes}, **{word.lower(): "no" for word in self.no}}

    @cached_property
    def _words(self) -> str:
        return "|".join(re.escape(word) for word in sorted(self._values, key=len, reverse=True))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        word = rf"(?<!\w)(?:{self._words})(?!\w)"
        return re.compile(rf"{word}\s*(?:\bor\b|\band\b|/)\s*{word}|(?P<word>{word})", re.IGNORECASE)

    @cached_property
    def _apart(self) -> re.Pattern[str]:
        return re.compile(rf"{_BEFORE}(?P<word>(?:{self._words})(?!\w)){_AFTER}", re.IGNORECASE)

    def read_marked(self, text: str, start: int, choices: Sequence[str]) -> Parsed | None:
        found = next(self._found(text, *announced(text, start)), None)
        return self._parsed(text, found) if found else None

    def read_unmarked(self, text: str, choices: Sequence[str]) -> Parsed:
        found = pick(self._apart.finditer(text), self.which) or pick(self._found(text, 0, len(text)), self.which)
        return self._parsed(text, found) if found else Parsed(None, why="there is neither a yes nor a no in the text")

    def _found(self, text: str, start: int, end: int) -> Iterator[re.Match[str]]:
        """The words in order, without those of "yes or no"."""
        return (found for found in self._pattern.finditer(text, start, end) if found["word"])

    def canonical(self, target: str) -> str:
        return self._values.get(target.strip().lower(), target.strip())

    def _parsed(self, text: str, found: re.Match[str]) -> Parsed:
        begin, end = found.span("word")
        value = self._values[found["word"].lower()]
        if _DENIED.search(text, max(0, begin - _LONGEST_DENIAL), begin):
            value = "no" if value == "yes" else "yes"
        return Parsed(value, (begin, end))
