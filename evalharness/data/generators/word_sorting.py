"""Word sorting: the words of a list in alphabetical order.

After word_sorting of BIG-bench (Srivastava et al. 2022, arXiv:2206.04615): four to six words in the demonstrations and
in ``test``, eight to twelve in ``test_longer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from evalharness.data.generators.splits import ROWS, distinct, length_in, random_stream
from evalharness.data.generators.words import THINGS


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question``, ``answer`` and ``words``. No word comes twice in a list, and no list is
    in order already.

    Raises:
        DataError: no such split.
    """
    least, most = length_in(split, (4, 6), (8, 12))
    stream = random_stream("word_sorting", split)

    def draw() -> tuple[str, ...]:
        return tuple(stream.sample(THINGS, stream.randint(least, most)))

    disordered = (words for words in distinct(draw, split) if list(words) != sorted(words))
    return [_row(words) for words in islice(disordered, ROWS)]


def _row(words: Sequence[str]) -> dict[str, Any]:
    return {
        "question": f"Sort these words alphabetically: {', '.join(words)}.",
        "answer": ", ".join(sorted(words)),
        "words": list(words),
    }
