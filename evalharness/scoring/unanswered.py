"""How often no answer was found: beside an accuracy that counts those as wrong."""

from __future__ import annotations

from typing import ClassVar

from evalharness.answers.base import Parser
from evalharness.scoring.base import Metric, Needs
from evalharness.types import Attempt, Parsed, Reference, Score


class Unanswered(Metric):
    """1 where the parser found no answer, else 0: a failure rate."""

    needs: ClassVar[Needs] = "answer"
    higher_is_better: ClassVar[bool] = False
    tells_right: ClassVar[bool] = False
    metric: str = "unanswered"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        missing = answer is None or answer.value is None
        return Score(float(missing), explanation=answer.why if answer else None)
