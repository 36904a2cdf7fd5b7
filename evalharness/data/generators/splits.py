"""What the splits of a generated benchmark share: their sizes, their random streams, and that they do not overlap."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

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


IN_DOMAIN = ("train", "test")
LONGER = "test_longer"
"""The split whose questions are longer than any of the demonstrations' (Anil et al. 2022, arXiv:2207.04901)."""


def length_in(split: str, short: tuple[int, int], longer: tuple[int, int]) -> tuple[int, int]:
    """Least and greatest length of a split's questions: `short` in ``train`` and ``test``, else `longer`.

    Raises:
        DataError: no such split.
    """
    known = (*IN_DOMAIN, LONGER)
    if split not in known:
        raise DataError(f"generated data have no split '{split}'; {nearest(split, known)}")
    return longer if split == LONGER else short


def random_stream(generator: str, split: str) -> random.Random:
    """The split's own stream, seeded by sha256 of both names: the same on every machine."""
    return random.Random(int(sha256_text(f"{generator}/{split}"), 16))


def balanced(rows: Iterable[dict[str, Any]], answers: Sequence[str]) -> list[dict[str, Any]]:
    """The first `ROWS` of the rows in which each of the answers comes equally often."""
    left = dict.fromkeys(answers, ROWS // len(answers))
    kept = []
    for row in rows:
        if left[row["answer"]]:
            left[row["answer"]] -= 1
            kept.append(row)
        if not any(left.values()):
            break
    return kept


def distinct(draw: Callable[[], tuple[str, ...]], split: str) -> Iterator[tuple[str, ...]]:
    """Tuples as `draw` gives them, none twice, and none in both ``train`` and ``test``.

    Those two hold tuples of the same lengths, so each belongs to one of them by the parity of its hash.
    """
    parity = {"train": 0, "test": 1}.get(split)
    seen: set[tuple[str, ...]] = set()
    while True:
        names = draw()
        if names in seen or (parity is not None and int(sha256_text(" ".join(names)), 16) % 2 != parity):
            continue
        seen.add(names)
        yield names
