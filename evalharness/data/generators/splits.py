"""What the splits of a generated benchmark share: their sizes, their random streams, and that they do not overlap."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from evalharness.errors import DataError, nearest
from evalharness.hashing import sha256_text

ROWS = 1_000
PEOPLE = {"train": 2, "test": 2, "test_3": 3, "test_4": 4}
"""Names in a question, by split: as many as in the demonstrations, or more (Wei et al. 2022, section 5)."""


def people_in(split: str) -> int:
    """Names in each question of a split.

    Raises:
        DataError: no such split.
    """
    if split not in PEOPLE:
        raise DataError(f"generated data have no split '{split}'; {nearest(split, PEOPLE)}")
    return PEOPLE[split]


def random_stream(generator: str, split: str) -> random.Random:
    """The split's own stream, seeded by sha256 of both names: the same on every machine."""
    return random.Random(int(sha256_text(f"{generator}/{split}"), 16))


def distinct(draw: Callable[[], tuple[str, ...]], split: str) -> Iterator[tuple[str, ...]]:
    """Names as `draw` gives them, none twice, and none in both ``train`` and ``test``.

    Those two hold equally many names, so each tuple belongs to one of them by the parity of its hash.
    """
    parity = {"train": 0, "test": 1}.get(split)
    seen: set[tuple[str, ...]] = set()
    while True:
        names = draw()
        if names in seen or (parity is not None and int(sha256_text(" ".join(names)), 16) % 2 != parity):
            continue
        seen.add(names)
        yield names
