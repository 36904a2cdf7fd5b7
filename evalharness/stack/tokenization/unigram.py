"""The scores of a Unigram vocabulary, freed of what changes from one training to the next."""

from __future__ import annotations

from collections.abc import Iterable

DIGITS = 4
"""Decimals of a score: sums in another order differ far behind them."""
_STEP = 0.0001
"""By how much the library sets characters apart that no text needs as a piece, in an order that is by chance."""


def settled(pieces: Iterable[tuple[str, float]], size: int) -> list[tuple[str, float]]:
    """The best `size` pieces with rounded scores, best first, equal ones by their text; characters are all kept.

    The library adds up in the order of a hash table, so two trainings differ in the last bits, and it gives the
    characters that are kept for coverage alone scores in an order by chance: those get the lowest score here. Where two
    pieces are equally good to the last bit and one has to go, either may: the pieces themselves can differ then.
    Where characters fill the vocabulary, the library hands over more pieces than it was asked for.
    """
    found = [(text, score) for text, score in pieces]
    lowest = min((score for _, score in found), default=0.0)
    spread = lowest + _STEP * (sum(len(text) == 1 for text, _ in found) + 1)
    rounded = [(text, round(lowest if len(text) == 1 and score < spread else score, DIGITS)) for text, score in found]
    rounded.sort(key=lambda piece: (-piece[1], piece[0]))
    room = size - sum(len(text) == 1 for text, _ in rounded)
    longer = [piece for piece in rounded if len(piece[0]) > 1][: max(room, 0)]
    kept = {text for text, _ in longer}
    return [piece for piece in rounded if len(piece[0]) == 1 or piece[0] in kept]
