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
    """1 where ``argmax_i log p(choice_i) / length(choice_i)`` is a right choice, else 0.

    Of tied choices the first is taken, as numpy's argmax and so other harnesses do. A log-likelihood that
    is not a number scores 0: argmax would point at it, and reward the sample where it stands at the gold.
    """

    needs: ClassVar[Needs] = "choices"

    @abstractmethod
    def length(self, choice: str) -> int:
        """What the log-likelihood of a choice is divided by."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        totals = [likelihood.total for likelihood in attempt.likelihoods]
        golds = right_choices(self.name, reference, len(totals))
        if any(math.isnan(total) for total in totals):
            broken = next(i for i, total in enumerate(totals) if math.isnan(total))
            return Score(0.0, explanation=f"the log-likelihood of choice {broken} is not a number")
        values = self._normalised(totals, reference.choices)
        best = max(values)
        chosen = values.index(best)
        tied = [i for i, value in enumerate(values) if value == best]
        return Score(
            float(chosen in golds),
            explanation=f"choices {tied} are equally likely; the first of them counts" if len(tied) > 1 else None,
        )

    def _normalised(self, totals: Sequence[float], choices: Sequence[str]) -> list[float]:
        """An empty choice has no length to divide by and is never the likeliest."""
        lengths = [self.length(choice) for choice in choices]
        return [total / length if length else -math.inf for total, length in zip(totals, lengths, strict=True)]

    def chance(self, reference: Reference) -> float | None:
        return _share_of_right(reference)


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


class ProbabilityMass(Metric):
    """``Σ p(right choices) / Σ p(choices)``, p the likelihood of a choice (MC2 of TruthfulQA; Lin et al. 2021,
    arXiv:2109.07958). Computed as differences of logarithms, so that long choices do not underflow."""

    needs: ClassVar[Needs] = "choices"
    metric: str = "probability_mass"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        totals = [likelihood.total for likelihood in attempt.likelihoods]
        golds = right_choices(self.name, reference, len(totals))
        best = max(totals)
        if not math.isfinite(best) or any(math.isnan(total) for total in totals):
            return Score(0.0, explanation="a log-likelihood is not a number, or every choice is impossible")
        masses = [math.exp(total - best) for total in totals]
        return Score(math.fsum(masses[gold] for gold in golds) / math.fsum(masses))

    def chance(self, reference: Reference) -> float | None:
        return _share_of_right(reference)


class GreedyChoice(Metric):
    """1 where greedy decoding would say one of the right choices (``exact_match`` of scored tasks in lm-eval)."""

    needs: ClassVar[Needs] = "choices"
    metric: str = "greedy_choice"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        golds = right_choices(self.name, reference, len(attempt.likelihoods))
        right = [attempt.likelihoods[gold] for gold in golds]
        if not all(likelihood.greedy for likelihood in right):
            raise DataError(
                f"the metric '{self.name}' needs to know of each token whether it is the likeliest, "
                "but the backend's answer does not say."
            )
        return Score(float(any(likelihood.is_greedy for likelihood in right)))


def _share_of_right(reference: Reference) -> float | None:
    """What a blind guess is worth: right choices over choices."""
    if not reference.choices:
        return None
    return (len(set(reference.target)) if isinstance(reference.target, tuple) else 1) / len(reference.choices)


def right_choices(name: str, reference: Reference, scored: int) -> tuple[int, ...]:
    """Positions of the right choices.

    Raises:
        DataError: there are no choices, not one log-likelihood a choice, or the target is no position of one.
    """
    n = len(reference.choices)
    if not n or scored != n:
        raise DataError(f"the metric '{name}' needs one log-likelihood a choice, but got {scored} for {n} choices.")
    target = reference.target
    golds = target if isinstance(target, tuple) else (target,)
    positions = tuple(gold for gold in golds if isinstance(gold, int) and 0 <= gold < n)
    if not positions or len(positions) != len(golds):
        raise DataError(f"the metric '{name}' needs the position of the right choice, 0 to {n - 1}, not {target!r}.")
    return positions
