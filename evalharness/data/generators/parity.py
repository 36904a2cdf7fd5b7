"""Parity: is the number of ones in a string of bits even or odd?

After Anil et al. 2022, arXiv:2207.04901 (section 2): 8 to 12 bits in the demonstrations and in ``test``, 16 to 24 in
``test_longer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evalharness.data.generators.splits import balanced, distinct, length_in, random_stream


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question``, ``answer`` (even or odd, 500 each), ``rationale`` and ``bits``.

    Raises:
        DataError: no such split.
    """
    least, most = length_in(split, (8, 12), (16, 24))
    stream = random_stream("parity", split)

    def draw() -> tuple[str, ...]:
        return tuple(stream.choices("01", k=stream.randint(least, most)))

    return balanced((_row(bits) for bits in distinct(draw, split)), ("even", "odd"))


def _row(bits: Sequence[str]) -> dict[str, Any]:
    state, states = 0, []
    for bit in bits:
        state ^= bit == "1"
        states.append("odd" if state else "even")
    return {
        "question": f"Is the number of ones in {' '.join(bits)} even or odd?",
        "answer": states[-1],
        "rationale": "Reading from the left, the number of ones so far is " + ", ".join(states) + ".",
        "bits": list(bits),
    }
