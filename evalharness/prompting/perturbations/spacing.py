"""Spaces that are doubled, missing, or inside a word."""

from __future__ import annotations

import re
from random import Random
from typing import Literal

from pydantic import Field

from evalharness.prompting.perturbations.base import Perturbation
from evalharness.prompting.perturbations.words import changed_words, prose_at_end, prose_at_start

_GAP = re.compile(r"( +)")
SHORTEST = 4
"""Letters of the shortest word that is broken in two."""


class Spacing(Perturbation):
    """Gaps between two words of prose, or words, with the probability `rate`; line breaks stay as they are."""

    perturbation: str = "spacing"
    rate: float = Field(default=0.1, ge=0.0, le=1.0)
    """Share of the gaps, or words, that are changed."""
    kind: Literal["double", "missing", "inside"] = "double"
    """A second space in the gap; no space there, so that two words become one; a space inside a word."""

    def text(self, text: str, random: Random) -> str:
        if self.kind == "inside":
            return changed_words(text, lambda word: self._broken(word, random))
        pieces = _GAP.split(text)
        for place in range(1, len(pieces), 2):
            between = prose_at_end(pieces[place - 1]) and prose_at_start(pieces[place + 1])
            if between and random.random() < self.rate:
                pieces[place] = pieces[place] * 2 if self.kind == "double" else ""
        return "".join(pieces)

    def _broken(self, word: str, random: Random) -> str:
        draw, place = random.random(), random.random()
        if len(word) < SHORTEST or draw >= self.rate:
            return word
        position = 1 + int(place * (len(word) - 1))
        return f"{word[:position]} {word[position:]}"
