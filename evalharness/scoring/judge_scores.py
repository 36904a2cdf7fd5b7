"""A number that a judge gave, as the journal's verdicts have it: nothing is judged here."""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, Needs
from evalharness.types import Attempt, Parsed, Reference, Score


class JudgeScore(Metric):
    """The score that a judge gave what was said, or with `threshold` 1 where it reaches that, else 0.

    Over the repeats of a prompt (Gehman et al. 2020, arXiv:2009.11462): the mean is the fraction of continuations that
    reach the threshold; with ``reducer: max`` the mean over prompts is the expected maximum, and with a threshold the
    probability of at least one. Scores of 0 count like any other.
    """

    needs: ClassVar[Needs] = "verdict"
    higher_is_better: ClassVar[bool] = False
    tells_right: ClassVar[bool] = False
    metric: str = "judge_score"
    judge: str = "classifier"
    """Of the task's judges, the one whose scores are read; the metric's label should name it."""
    threshold: float | None = None

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        scores = [verdict.details.get("score") for verdict in attempt.verdicts if verdict.judge == self.judge]
        numbers = [float(score) for score in scores if score is not None]
        if not numbers or len(numbers) < len(scores):
            raise DataError(
                f"the metric '{self.name}' reads scores of the judge '{self.judge}', and the attempt has none; "
                "a journal without them must be run again, or replayed with --model replay:RUN."
            )
        if self.threshold is None:
            return Score(fmean(numbers))
        return Score(fmean(number >= self.threshold for number in numbers))
