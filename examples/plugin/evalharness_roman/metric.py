"""A metric: how near is near enough."""

from __future__ import annotations

from typing import ClassVar

from evalharness.answers.base import Parser
from evalharness.scoring.base import Metric, Needs
from evalharness.types import Attempt, Parsed, Reference, Score


class Within(Metric):
    """1 where the answer is a number at most `tolerance` from the right one, else 0."""

    needs: ClassVar[Needs] = "answer"
    metric: str = "within"
    tolerance: int = 0

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        if answer is None or answer.value is None or parser is None:
            return Score(0.0, explanation="there is no answer")
        distance = abs(int(answer.value) - int(parser.canonical(str(reference.target))))
        return Score(float(distance <= self.tolerance), explanation=f"{distance} away")
