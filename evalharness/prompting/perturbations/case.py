"""Capital and small letters."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Literal

from evalharness.prompting.perturbations.base import Perturbation
from evalharness.prompting.perturbations.words import changed_words

_CHANGES: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "title": str.capitalize,
    "swapped": str.swapcase,
}


class Case(Perturbation):
    """Words in other letters; `rate` is the share of words that change, all of them by default."""

    perturbation: str = "case"
    to: Literal["upper", "lower", "title", "swapped"] = "lower"
    """UPPER, lower, Title, or each letter the other way round."""

    def text(self, text: str, random: Random) -> str:
        change = _CHANGES[self.to]
        return changed_words(text, lambda word: change(word) if random.random() < self.rate else word)
