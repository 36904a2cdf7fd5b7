"""Accuracy of the likeliest choice, with the three usual ways of making lengths comparable."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, Needs
from evalharness.types import Attempt, Parsed, Reference, Score


class LikeliestChoice(Metric):
    """1 where ``argmax_i log p(choice_i) / length(choice_i)`` is the right choice, else 0.

    Of tied choices the first is taken, as numpy's argmax and so other harnesses do. A log-likelihood that
    is not a number scores 0: argmax would point at it, and reward the sample where it stands at the gold.
    """

    needs: ClassVar[Needs] = "choices"

    @abstractmethod
    def length(self, choice: str) -> int:
        """What the log-likelihood of a choice is divided by."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        totals = [likelihood.total for likelihood in attempt.likelihoods]
        gold = _gold(self.name, reference, len(totals))
        if any(math.isnan(total) for total in totals):
            broken = next(i for i, total in enumerate(totals) if math.isnan(total))
            return Score(0.0, explanation=f"the log-likelihood of choice {broken} is not a number")
        values = self._normalised(totals, reference.choices)
        best = max(values)
        chosen = values.index(best)
        tied = [i for i, value in enumerate(values) if value == best]
        return Score(
            float(chosen == gold),
            explanation=f"choices {tied} are equally likely; the first of them counts" if len(tied) > 1 else None,
        )

    def _normalised(self, totals: Sequence[float], choices: Sequence[str]) -> list[float]:
        """An empty choice has no length to divide by and is never the likeliest."""
        lengths = [self.length(choice) for choice in choices]
        return [total / length if length else -math.inf for total, length in zip(totals, lengths, strict=True)]

    def chance(self, reference: Reference) -> float | None:
        return 1 / len(reference.choices) if reference.choices else None


class Accuracy(LikeliestChoice):
    """Accuracy by summed log-likelihood (``acc``)."""

    metric: str = "acc"

    def length(self, choice: str) -> int:
        return 1


class AccuracyByCharacters(LikeliestChoice):
    """Accuracy by log-likelihood a character of the choice, without the delimiter before it (``acc_norm``)."""

    metric: str = "acc_norm"

    def length(self, choice: str) -> int:
        return len(choice)


class AccuracyByBytes(LikeliestChoice):
    """Accuracy by log-likelihood a UTF-8 byte of the choice, without the delimiter before it (``acc_bytes``)."""

    metric: str = "acc_bytes"

    def length(self, choice: str) -> int:
        return len(choice.encode())


def _gold(name: str, reference: Reference, scored: int) -> int:
    """Position of the right choice.

    Raises:
        DataError: there are no choices, not one log-likelihood a choice, or the target is no position of one.
    """
    n = len(reference.choices)
    if not n or scored != n:
        raise DataError(f"the metric '{name}' needs one log-likelihood a choice, but got {scored} for {n} choices.")
    gold = reference.target
    if not isinstance(gold, int) or not 0 <= gold < n:
        raise DataError(f"the metric '{name}' needs the position of the right choice, 0 to {n - 1}, not {gold!r}.")
    return gold
