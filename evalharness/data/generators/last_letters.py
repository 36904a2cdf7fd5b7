"""Last letter concatenation: the last letters of the words of a name, put together.

Wei et al. 2022, arXiv:2201.11903, section 5 and appendix: two words as in the demonstrations (``train``,
``test``), three and four as the tests of length generalisation (``test_3``, ``test_4``).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from evalharness.data.generators.names import names
from evalharness.data.generators.splits import ROWS, distinct, people_in, random_stream


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question``, ``answer``, ``rationale`` and ``names`` (the words).

    Words alternate between first and last names, as in the full names of the paper.

    Raises:
        DataError: no such split.
    """
    words = people_in(split)
    stream = random_stream("last_letter_concatenation", split)

    def draw() -> tuple[str, ...]:
        return tuple(stream.choice(names("last" if place % 2 else "first")) for place in range(words))

    return [_row(drawn) for drawn in islice(distinct(draw, split), ROWS)]


def _row(words: Sequence[str]) -> dict[str, Any]:
    answer = "".join(word[-1] for word in words)
    letters = " ".join(f'The last letter of "{word}" is "{word[-1]}".' for word in words)
    return {
        "question": f'Take the last letters of the words in "{" ".join(words)}" and concatenate them.',
        "answer": answer,
        "rationale": f'{letters} Concatenating them is "{answer}".',
        "names": list(words),
    }
