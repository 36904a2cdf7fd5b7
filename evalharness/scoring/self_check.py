"""What SelfCheckGPT's judges found, and how well it tells made-up texts from others: read from verdicts alone."""

from __future__ import annotations

from typing import ClassVar

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Aggregate
from evalharness.scoring.verdicts import OfVerdicts, dropped_mean
from evalharness.types import Attempt, Parsed, Reference, Score


class SelfCheck(OfVerdicts):
    """The mean inconsistency of the texts with further ones; lower is more consistent. Texts without a score (empty
    ones, a judge that failed) are left out."""

    higher_is_better: ClassVar[bool] = False
    metric: str = "self_check"
    judge: str = "self_check_unigram"
    detail: str = "score"
    """Which number of the verdict is read."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        return dropped_mean([_number(verdict.details.get(self.detail)) for verdict in self.judged(attempt)])


class Discrimination(SelfCheck):
    """Area under the ROC curve: the chance that a sample whose fact is true has a higher number than one whose fact is
    false, ties one half (`stats.discrimination`). One half is chance."""

    higher_is_better: ClassVar[bool] = True
    aggregate: ClassVar[Aggregate] = "auroc"
    metric: str = "auroc"
    positive: str = "positive"
    """Name of the fact, true or false, that the number should tell."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        found = super().score(attempt, reference, answer, parser)
        if not isinstance(fact := self.fact(reference, self.positive), bool):
            raise DataError(
                f"the metric '{self.name}': the fact '{self.positive}' must be true or false, not {fact!r}."
            )
        return Score(found.value, weight=(1.0 if fact else -1.0) if found.weight else 0.0)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
