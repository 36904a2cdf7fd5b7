"""A rating in double brackets: ``Rating: [[7]]``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import model_validator

from evalharness.answers.base import Parser
from evalharness.types import Parsed

_DOUBLE = re.compile(r"\[\[\s*(\d+(?:\.\d*)?)\s*\]\]")
_SINGLE = re.compile(r"\[\s*(\d+(?:\.\d*)?)\s*\]")


class RatingParser(Parser):
    """A number in double brackets, as MT-bench's judges are asked for it (Zheng et al. 2023, arXiv:2306.05685).

    One outside of the scale is none: a judge that says ``[[100]]`` on a scale to 10 has not understood the question.
    """

    parser: str = "rating"
    low: float = 1.0
    high: float = 10.0
    which: Literal["only", "first", "last"] = "last"
    """Of several different ratings, the one to take; `only` takes none."""
    single: bool = False
    """Whether single brackets count where there are no double ones."""

    @model_validator(mode="after")
    def _a_scale(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low: the scale of {self.low:g} to {self.high:g} holds no two ratings.")
        return self

    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        found = list(_DOUBLE.finditer(text)) or (list(_SINGLE.finditer(text)) if self.single else [])
        if not found:
            return Parsed(None, why="there is no rating in brackets in the text")
        if self.which == "only" and len({float(match[1]) for match in found}) > 1:
            return Parsed(None, why="the text gives several ratings")
        chosen = found[-1] if self.which == "last" else found[0]
        if not self.low <= (rating := float(chosen[1])) <= self.high:
            return Parsed(None, why=f"the rating {rating:g} is not on the scale of {self.low:g} to {self.high:g}")
        return Parsed(f"{rating:g}", chosen.span(1))

    def canonical(self, target: str) -> str:
        try:
            return f"{float(target):g}"
        except ValueError:
            return target.strip()
