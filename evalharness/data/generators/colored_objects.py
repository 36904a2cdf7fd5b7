"""Coloured objects: what colour has one of the things in a row, or the thing beside it?

After reasoning_about_colored_objects of BIG-bench (Srivastava et al. 2022, arXiv:2206.04615): three to five things in
the demonstrations and in ``test``, seven to ten in ``test_longer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from evalharness.data.generators.splits import ROWS, distinct, length_in, random_stream
from evalharness.data.generators.words import COLORS, THINGS, enumerated, with_article

_OFFSETS = {"the": 0, "left": -1, "right": 1}
"""By what is asked: where the asked thing stands from the named one."""


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question``, ``answer`` (a colour), ``rationale`` and ``things``.

    No thing and no colour comes twice in a row of things.

    Raises:
        DataError: no such split.
    """
    least, most = length_in(split, (3, 5), (7, 10))
    stream = random_stream("colored_objects", split)

    def draw() -> tuple[str, ...]:
        """What is asked, the place of the named thing, then a colour and a thing in turn."""
        size = stream.randint(least, most)
        asked = stream.choice(sorted(_OFFSETS))
        place = stream.randint(max(0, -_OFFSETS[asked]), size - 1 - max(0, _OFFSETS[asked]))
        pairs = zip(stream.sample(COLORS, size), stream.sample(THINGS, size), strict=True)
        return (asked, str(place), *(part for pair in pairs for part in pair))

    return [_row(drawn[0], int(drawn[1]), drawn[2::2], drawn[3::2]) for drawn in islice(distinct(draw, split), ROWS)]


def _row(asked: str, place: int, colors: Sequence[str], things: Sequence[str]) -> dict[str, Any]:
    found, named = place + _OFFSETS[asked], things[place]
    scene = enumerated([with_article(f"{color} {thing}") for color, thing in zip(colors, things, strict=True)])
    if asked == "the":
        wanted, why = f"the {named}", f"The {named} is {colors[found]}."
    else:
        wanted = f"the thing directly to the {asked} of the {named}"
        why = f"Directly to the {asked} of the {named} is the {things[found]}. The {things[found]} is {colors[found]}."
    return {
        "question": f"In a row, from left to right, there are {scene}. What color is {wanted}?",
        "answer": colors[found],
        "rationale": why,
        "things": list(things),
    }
