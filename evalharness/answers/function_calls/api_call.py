"""The parser of Gorilla's answers: a line of code between two tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from evalharness.answers.base import Parser
from evalharness.types import Parsed


class ApiCallParser(Parser):
    """The code after ``<<<api_call>>>:``, cut as Gorilla's scripts cut it (Patil et al. 2023, arXiv:2305.15334).

    Of what stands between the first `begin` and the next `begin` or `end`: from two characters after the first colon to
    the last closing parenthesis; without a colon from the third character, without a parenthesis to the last but one.
    That may be nothing at all.
    """

    parser: str = "api_call"
    begin: Annotated[str, Field(min_length=1)] = "api_call"
    end: Annotated[str, Field(min_length=1)] = "api_provider"
    otherwise: Literal["everything", "nothing"] = "everything"
    """What a text without `begin` gives: all of it, or no answer."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.begin in self.end or self.end in self.begin:
            raise ValueError(f"begin '{self.begin}' and end '{self.end}' must not hold each other.")
        return self

    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        start, stop = self._bounds(text)
        if start is None:
            return Parsed(None, why=f"no call: '{self.begin}' is not in the text")
        while start < stop and text[start].isspace():
            start += 1
        while stop > start and text[stop - 1].isspace():
            stop -= 1
        return Parsed(text[start:stop], (start, max(start, stop)))

    def _bounds(self, text: str) -> tuple[int | None, int]:
        before, found, _ = text.partition(self.begin)
        if not found:
            return (0, len(text)) if self.otherwise == "everything" else (None, 0)
        first = len(before) + len(self.begin)
        ends = [place for mark in (self.begin, self.end) if (place := text.find(mark, first)) >= 0]
        last = min(ends, default=len(text))
        colon, parenthesis = text.find(":", first, last), text.rfind(")", first, last)
        start = (colon if colon >= 0 else first) + 2
        return start, parenthesis + 1 if parenthesis >= 0 else last - 1
