"""What judge models said of each candidate, as the journal's verdicts have it: nothing is judged here."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import ClassVar, Literal

from pydantic import Field

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, Needs
from evalharness.types import Attempt, Parsed, Reference, Score, Verdict

OnUnparsed = Literal["drop", "tie", "loss", "fail"]
"""What a verdict counts as that could not be read: nothing, the middle, the worst; or the sample fails."""
UNPARSED, ERROR = "unparsed", "error"


class OfVerdicts(Metric):
    """Base of metrics that read one judge's verdicts."""

    needs: ClassVar[Needs] = "verdict"
    tells_right: ClassVar[bool] = False

    judge: str
    """Of the task's judges, the one whose verdicts are read."""
    turn: int | None = Field(default=None, ge=1)
    """Of several candidates (the turns of a conversation), the one that counts; all without it."""

    def judged(self, attempt: Attempt) -> list[Verdict]:
        """The judge's verdicts on the candidates that count.

        Raises:
            DataError: there is none.
        """
        found = [
            verdict
            for verdict in attempt.verdicts
            if verdict.judge == self.judge and self.turn in (None, verdict.candidate + 1)
        ]
        if not found:
            of = f" of turn {self.turn}" if self.turn else ""
            raise DataError(
                f"the metric '{self.name}' reads verdicts of the judge '{self.judge}'{of}, and the attempt has none; "
                "a journal without them must be run again, or replayed with --model replay:RUN."
            )
        return found

    def unread(self, verdict: Verdict) -> DataError:
        """The sentence for a verdict that has nothing to read where `on_unparsed` is fail."""
        why = f" ({verdict.explanation})" if verdict.explanation else ""
        return DataError(
            f"the metric '{self.name}': the judge '{self.judge}' gave no verdict that can be read{why}; say what that "
            "counts as with on_unparsed: drop, tie or loss."
        )


def dropped_mean(values: Sequence[float | None]) -> Score:
    """The mean of what is left, with the share that is left for its weight."""
    left = [value for value in values if value is not None]
    if not left:
        return Score(0.0, weight=0.0, explanation="no verdict is left to count")
    return Score(fmean(left), weight=len(left) / len(values))


class JudgeRating(OfVerdicts):
    """The mean score that a judge gave the candidates, on the judge's own scale; higher is better.

    Where the judge itself failed there is no verdict, and the candidate is left out; `verdict_share` counts those.
    """

    metric: str = "judge_rating"
    judge: str = "rating"
    on_unparsed: OnUnparsed = "fail"
    """What an answer of the judge counts as in which no score was found: drop leaves it out, tie is the middle of its
    scale and loss the lowest score; with fail the sample fails. Show its share beside (`verdict_share`)."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        return dropped_mean([self._value(verdict) for verdict in self.judged(attempt)])

    def _value(self, verdict: Verdict) -> float | None:
        if verdict.label == ERROR:
            return None
        score = verdict.details.get("score")
        if score is not None:
            return float(score)
        if verdict.label != UNPARSED:
            raise DataError(
                f"the metric '{self.name}' reads scores, and the judge '{self.judge}' gives none; name a judge that "
                "does, or give its labels scores."
            )
        if self.on_unparsed == "fail":
            raise self.unread(verdict)
        if self.on_unparsed == "drop":
            return None
        low, high = verdict.details["scale"]
        return float(low) if self.on_unparsed == "loss" else (float(low) + float(high)) / 2


class VerdictShare(OfVerdicts):
    """The share of a judge's verdicts that have one of these labels: ``unparsed``, ``error``, or a label of one's own.

    A judge that failed gave no verdict, and counts only where ``error`` is asked for.
    """

    higher_is_better: ClassVar[bool] = False
    metric: str = "verdict_share"
    judge: str = "rating"
    verdicts: tuple[str, ...] = Field(default=(UNPARSED,), min_length=1)
    """The labels."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        wanted = self.verdicts
        return dropped_mean(
            [
                None if verdict.label == ERROR and ERROR not in wanted else float(verdict.label in wanted)
                for verdict in self.judged(attempt)
            ]
        )
