"""Repeat copy: say some words several times, with another word in between.

After repeat_copy_logic of BIG-bench (Srivastava et al. 2022, arXiv:2206.04615): two to four repeats in the
demonstrations and in ``test``, six to nine in ``test_longer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from evalharness.data.generators.splits import ROWS, distinct, length_in, random_stream
from evalharness.data.generators.words import NUMBERS, THINGS

_EVERY = ("each time", "every second time")


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question``, ``answer``, ``rationale`` and ``words`` (phrase and other word).

    Raises:
        DataError: no such split.
    """
    least, most = length_in(split, (2, 4), (6, 9))
    stream = random_stream("repeat_copy", split)

    def draw() -> tuple[str, ...]:
        """The number, how often the last word is said, then the words."""
        number = stream.randint(least, most)
        return (str(number), stream.choice(_EVERY), *stream.sample(THINGS, stream.randint(3, 4)))

    return [_row(int(drawn[0]), drawn[1], drawn[2:]) for drawn in islice(distinct(draw, split), ROWS)]


def _row(number: int, every: str, words: Sequence[str]) -> dict[str, Any]:
    *phrase, other = words
    step = 1 + _EVERY.index(every)
    said = [[*phrase, other] if turn % step == 0 else list(phrase) for turn in range(1, number + 1)]
    turns = ". ".join(f"Time {turn}: {' '.join(each)}" for turn, each in enumerate(said, start=1))
    return {
        "question": f'Say "{" ".join(phrase)}" {NUMBERS[number]} times, and after {every} say "{other}".',
        "answer": " ".join(word for each in said for word in each),
        "rationale": f"{turns}.",
        "words": list(words),
    }
