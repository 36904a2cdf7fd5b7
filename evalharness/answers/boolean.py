"""Yes or no, true or false."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Self

from pydantic import Field, model_validator

from evalharness.answers.base import pick
from evalharness.answers.marked import MarkedParser, Marker, announced
from evalharness.types import Parsed


class BooleanParser(MarkedParser):
    """The words for yes and for no, as whole words in any case; the values are ``yes`` and ``no``."""

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
    def _pattern(self) -> re.Pattern[str]:
        words = "|".join(re.escape(word) for word in sorted(self._values, key=len, reverse=True))
        return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)

    def read_marked(self, text: str, start: int, choices: Sequence[str]) -> Parsed | None:
        found = self._pattern.search(text, *announced(text, start))
        return self._parsed(found) if found else None

    def read_unmarked(self, text: str, choices: Sequence[str]) -> Parsed:
        found = pick(self._pattern.finditer(text), self.which)
        return self._parsed(found) if found else Parsed(None, why="there is neither a yes nor a no in the text")

    def canonical(self, target: str) -> str:
        return self._values.get(target.strip().lower(), target.strip())

    def _parsed(self, found: re.Match[str]) -> Parsed:
        return Parsed(self._values[found[0].lower()], found.span())
