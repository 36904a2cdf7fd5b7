"""Guesses the next tokens of a text from what came before in it: n-gram speculation, also called prompt look-up.

A guess costs nothing, and a step that computes it beside the token before it tells whether it was right; texts that
repeat their prompt or themselves grow by several tokens a step (Saxena 2023, "Prompt Lookup Decoding").
"""

from __future__ import annotations

from collections.abc import Iterable

LENGTHS = (3, 2)
"""Tokens that must match, the longer first."""


class PromptLookup:
    """Where each n-gram of one sequence was seen last."""

    def __init__(self, ids: Iterable[int]) -> None:
        self._ids: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        """By n-gram: the position behind its last occurrence that something follows."""
        for id in ids:
            self.push(id)

    def push(self, id: int) -> None:
        """The sequence goes on with this token."""
        end = len(self._ids)
        for length in LENGTHS:
            if end >= length:
                self._after[tuple(self._ids[end - length :])] = end
        self._ids.append(id)

    def guess(self, count: int) -> list[int]:
        """Up to `count` tokens that may come next: those behind the last place that read like the end."""
        for length in LENGTHS:
            begin = self._after.get(tuple(self._ids[-length:])) if len(self._ids) >= length else None
            if begin is not None:
                # Behind the end the guess follows itself, as a text that goes round in circles does.
                guess = self._ids[begin : begin + count]
                while len(guess) < count:
                    guess.append(guess[begin + len(guess) - len(self._ids)])
                return guess
        return []
