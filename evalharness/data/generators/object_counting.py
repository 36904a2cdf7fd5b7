"""Object counting: how many things of one kind are there among things of several kinds?

After object_counting of BIG-bench (Srivastava et al. 2022, arXiv:2206.04615): four to six entries in the demonstrations
and in ``test``, eight to twelve in ``test_longer``.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from evalharness.data.generators.splits import ROWS, distinct, length_in, random_stream
from evalharness.data.generators.words import KINDS, NUMBERS, THINGS, enumerated, with_article

_KIND_OF = {thing: kind for kind, things in KINDS.items() for thing in things}


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question``, ``answer``, ``rationale`` and ``things``.

    At least two entries are of the asked kind, and one is not; of each there are one to three.

    Raises:
        DataError: no such split.
    """
    least, most = length_in(split, (4, 6), (8, 12))
    stream = random_stream("object_counting", split)

    def draw() -> tuple[str, ...]:
        """The kind, then a number and a thing in turn."""
        size = stream.randint(least, most)
        kind = stream.choice(sorted(KINDS))
        counted = stream.sample(sorted(KINDS[kind]), stream.randint(2, min(size - 1, 7)))
        others = stream.sample([thing for thing in THINGS if _KIND_OF[thing] != kind], size - len(counted))
        things = stream.sample([*counted, *others], size)
        return (kind, *(part for thing in things for part in (str(stream.randint(1, 3)), thing)))

    return [_row(drawn) for drawn in islice(distinct(draw, split), ROWS)]


def _row(drawn: tuple[str, ...]) -> dict[str, Any]:
    kind, entries = drawn[0], [(int(n), thing) for n, thing in zip(drawn[1::2], drawn[2::2], strict=True)]
    counted = [(n, thing) for n, thing in entries if _KIND_OF[thing] == kind]
    answer = sum(n for n, _ in counted)
    listed = enumerated([_named(n, thing) for n, thing in counted])
    return {
        "question": f"I have {enumerated([_named(n, thing) for n, thing in entries])}. How many {kind} do I have?",
        "answer": str(answer),
        "rationale": f"The {kind} are {listed}. {' + '.join(str(n) for n, _ in counted)} = {answer}.",
        "things": [thing for _, thing in entries],
    }


def _named(number: int, thing: str) -> str:
    return with_article(thing) if number == 1 else f"{NUMBERS[number]} {KINDS[_KIND_OF[thing]][thing]}"
