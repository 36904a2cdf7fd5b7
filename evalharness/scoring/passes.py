"""Whether a program did what its tests ask, or how much of it, as the journal's verdicts say: nothing is executed
here."""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, Needs
from evalharness.types import Attempt, Parsed, Reference, Score, Verdict


class Passes(Metric):
    """1 where the judge says ``pass`` of the program, else 0; of several candidates the share that passes.

    pass@k comes of the repeats: give the metric ``reducer: pass@10`` (Chen et al. 2021, arXiv:2107.03374). A box that
    failed says nothing of the program, so it brings no verdict: the judge fails the sample, which is counted as
    errored, is in no mean, and is asked again when the run is resumed.
    """

    needs: ClassVar[Needs] = "verdict"
    metric: str = "passes"
    judge: str = "execution"
    """Of the task's judges, the one whose verdicts are read."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        verdicts = _verdicts(attempt, self.judge, self.name)
        value = fmean(verdict.label == "pass" for verdict in verdicts)
        return Score(value, explanation="; ".join(_told(verdict) for verdict in verdicts))


class PassedTests(Metric):
    """The share of a program's tests that it passes: APPS' test case average (Hendrycks et al. 2021, arXiv:2105.09938).

    A program that could not be tested passes none; of several candidates the mean.
    """

    needs: ClassVar[Needs] = "verdict"
    metric: str = "tests_passed"
    judge: str = "input_output"
    """Of the task's judges, the one whose verdicts are read: it must say how many tests there are and were passed."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        verdicts = _verdicts(attempt, self.judge, self.name)
        shares = [verdict.details.get("passed", 0) / verdict.details.get("tests", 1) for verdict in verdicts]
        return Score(fmean(shares), explanation="; ".join(_told(verdict) for verdict in verdicts))


def _verdicts(attempt: Attempt, judge: str, metric: str) -> list[Verdict]:
    """What a judge said of the candidates.

    Raises:
        DataError: it said nothing.
    """
    verdicts = [verdict for verdict in attempt.verdicts if verdict.judge == judge]
    if not verdicts:
        raise DataError(
            f"the metric '{metric}' reads the verdicts of the judge '{judge}', and the attempt has none; "
            "a journal without them must be run again, or replayed with --model replay:RUN."
        )
    return verdicts


def _told(verdict: Verdict) -> str:
    return verdict.label if verdict.explanation is None else f"{verdict.label}: {verdict.explanation}"
