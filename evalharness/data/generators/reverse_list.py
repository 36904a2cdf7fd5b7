"""Reverse list: the words of a list, last one first.

A task of the symbolic row of "A Survey of Large Language Models" (Zhao et al. 2023, arXiv:2303.18223, Table 14; Zhou et
al. 2022, arXiv:2211.09066): four to six words in the demonstrations and in ``test``, eight to twelve in
``test_longer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from evalharness.data.generators.splits import ROWS, distinct, length_in, random_stream
from evalharness.data.generators.words import THINGS


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question``, ``answer``, ``rationale`` and ``words``. No word comes twice in a list.

    Raises:
        DataError: no such split.
    """
    least, most = length_in(split, (4, 6), (8, 12))
    stream = random_stream("reverse_list", split)

    def draw() -> tuple[str, ...]:
        return tuple(stream.sample(THINGS, stream.randint(least, most)))

    return [_row(words) for words in islice(distinct(draw, split), ROWS)]


def _row(words: Sequence[str]) -> dict[str, Any]:
    answer = ", ".join(reversed(words))
    steps = "; ".join(f"then comes {word}" for word in words[-2::-1])
    return {
        "question": f"Reverse the list: {', '.join(words)}.",
        "answer": answer,
        "rationale": f"The last word is {words[-1]}; {steps}.",
        "words": list(words),
    }
