"""Where the right choice stands among all, by log-likelihood: metrics of completing triples of a knowledge graph."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

from pydantic import PositiveInt

from evalharness.answers.base import Parser
from evalharness.scoring.base import Metric, Needs
from evalharness.scoring.choices import right_choices
from evalharness.types import Attempt, Likelihood, Parsed, Reference, Score


class RightChoiceRank(Metric):
    """A value of the place at which the right choice stands; the first place is 1.

    Equally likely choices stand in random order, and the score is its expected value over them (Sun et al. 2020,
    arXiv:1911.03903), so that a model to which all are alike gets what chance is worth. Where several choices are right
    each is placed among the wrong ones alone (the filtered setting of Bordes et al. 2013), and the score is their mean.
    A log-likelihood that is not a number scores 0.
    """

    needs: ClassVar[Needs] = "choices"
    per_token: bool = False
    """Rank by means over tokens in place of sums: sums favour the shorter choice."""

    @abstractmethod
    def value(self, place: int) -> float:
        """What a place is worth."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        worth = [self._worth(likelihood) for likelihood in attempt.likelihoods]
        golds = right_choices(self.name, reference, len(worth))
        if any(math.isnan(each) for each in worth):
            return Score(0.0, explanation="the log-likelihood of a choice is not a number")
        wrong = [each for position, each in enumerate(worth) if position not in golds]
        return Score(math.fsum(self._expected(worth[gold], wrong) for gold in golds) / len(golds))

    def chance(self, reference: Reference) -> float | None:
        """Expected value of a random order."""
        if not reference.choices:
            return None
        golds = len(set(reference.target)) if isinstance(reference.target, tuple) else 1
        return self._expected(0.0, [0.0] * (len(reference.choices) - golds))

    def _expected(self, right: float, wrong: list[float]) -> float:
        better = sum(each > right for each in wrong)
        tied = sum(each == right for each in wrong) + 1
        return math.fsum(self.value(place) for place in range(better + 1, better + tied + 1)) / tied

    def _worth(self, likelihood: Likelihood) -> float:
        return likelihood.total / len(likelihood.log_likelihoods) if self.per_token else likelihood.total


class HitsAtK(RightChoiceRank):
    """hits@k: 1 where the right choice is among the k likeliest, else 0."""

    metric: str = "hits_at_k"
    k: PositiveInt = 1

    @property
    def name(self) -> str:
        return self.label or f"hits@{self.k}"

    def value(self, place: int) -> float:
        return float(place <= self.k)


class MeanReciprocalRank(RightChoiceRank):
    """MRR: one over the place of the right choice."""

    metric: str = "mean_reciprocal_rank"

    def value(self, place: int) -> float:
        return 1 / place
