"""Slips of the hand: a neighbouring key, two letters swapped, a letter left out."""

from __future__ import annotations

from random import Random
from typing import Literal

from pydantic import Field

from evalharness.prompting.perturbations.base import Perturbation
from evalharness.prompting.perturbations.words import changed_words

Slip = Literal["neighbour", "swap", "drop"]

SHORTEST = 3
"""Letters of the shortest word that is mistyped: a slip in a shorter one makes another word."""

# Of a QWERTY keyboard: the keys beside each letter, in its row and in the rows above and below.
NEIGHBOURS = {
    "q": "wa", "w": "qeas", "e": "wrsd", "r": "etdf", "t": "ryfg", "y": "tugh", "u": "yihj", "i": "uojk",
    "o": "ipkl", "p": "ol", "a": "qwsz", "s": "awedxz", "d": "serfcx", "f": "drtgvc", "g": "ftyhbv", "h": "gyujnb",
    "j": "huikmn", "k": "jiolm", "l": "kop", "z": "asx", "x": "zsdc", "c": "xdfv", "v": "cfgb", "b": "vghn",
    "n": "bhjm", "m": "njk",
}  # fmt: skip


class Typos(Perturbation):
    """Each word of three letters and more is mistyped once with the probability `rate`.

    The draws of a word are the same at every rate, so what is mistyped at a lower rate is so at a higher one too.
    """

    perturbation: str = "typos"
    rate: float = Field(default=0.1, ge=0.0, le=1.0)
    """Share of the words that are mistyped."""
    slips: tuple[Slip, ...] = Field(default=("neighbour", "swap", "drop"), min_length=1)
    """The kinds of slip, drawn alike."""

    def text(self, text: str, random: Random) -> str:
        def mistyped(word: str) -> str:
            draw, kind, place, key = (random.random() for _ in range(4))
            if len(word) < SHORTEST or draw >= self.rate:
                return word
            letters = [position for position, letter in enumerate(word) if letter.isalpha()]
            return _slipped(word, self.slips[int(kind * len(self.slips))], letters[int(place * len(letters))], key)

        return changed_words(text, mistyped)


def _slipped(word: str, slip: Slip, position: int, key: float) -> str:
    """The word with one slip at a letter; one that would change nothing there becomes a dropped letter."""
    letter = word[position]
    keys = NEIGHBOURS.get(letter.lower(), "")
    if slip == "neighbour" and keys:
        typed = keys[int(key * len(keys))]
        return word[:position] + (typed.upper() if letter.isupper() else typed) + word[position + 1 :]
    if slip == "swap":
        first = min(position, len(word) - 2)
        one, two = word[first], word[first + 1]
        if one != two and one.isalpha() and two.isalpha():
            return word[:first] + two + one + word[first + 2 :]
    return word[:position] + word[position + 1 :]
