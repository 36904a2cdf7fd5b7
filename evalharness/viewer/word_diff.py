"""Two texts side by side: which words only one of them has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

Pieces = list[tuple[str, bool]]
"""A text in parts, each with whether it is marked."""

_WORD = re.compile(r"\s+|\w+|[^\w\s]")
MOST_PAIRS = 4_000_000
"""Pairs of words above which texts are not aligned, since that would take seconds: what is between their equal
beginnings and equal ends is then marked whole."""


def word_diff(old: str, new: str) -> tuple[Pieces, Pieces]:
    """Both texts, the words marked that the other one has not in that place."""
    olds, news = _WORD.findall(old), _WORD.findall(new)
    begin = _shared(olds, news)
    end = _shared(olds[begin:][::-1], news[begin:][::-1])
    middle_old, middle_new = olds[begin : len(olds) - end], news[begin : len(news) - end]
    if len(middle_old) * len(middle_new) > MOST_PAIRS:
        moves = [("replace", 0, len(middle_old), 0, len(middle_new))]
    else:
        moves = list(SequenceMatcher(None, middle_old, middle_new, autojunk=False).get_opcodes())
    before, after = "".join(olds[:begin]), "".join(olds[len(olds) - end :])
    return (
        _pieces(before, [("".join(middle_old[a:b]), kind != "equal") for kind, a, b, _, _ in moves], after),
        _pieces(before, [("".join(middle_new[a:b]), kind != "equal") for kind, _, _, a, b in moves], after),
    )


def _shared(first: Sequence[str], second: Sequence[str]) -> int:
    """Words that both begin with."""
    for place, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return place
    return min(len(first), len(second))


def _pieces(before: str, middle: Pieces, after: str) -> Pieces:
    return [piece for piece in [(before, False), *middle, (after, False)] if piece[0]]
