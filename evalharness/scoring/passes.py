"""Whether a program did what its tests ask, as the journal's verdicts say: nothing is executed here."""

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
        verdicts = [verdict for verdict in attempt.verdicts if verdict.judge == self.judge]
        if not verdicts:
            raise DataError(
                f"the metric '{self.name}' reads the verdicts of the judge '{self.judge}', and the attempt has none; "
                "a journal without them must be run again, or replayed with --model replay:RUN."
            )
        value = fmean(verdict.label == "pass" for verdict in verdicts)
        return Score(value, explanation="; ".join(_told(verdict) for verdict in verdicts))


def _told(verdict: Verdict) -> str:
    return verdict.label if verdict.explanation is None else f"{verdict.label}: {verdict.explanation}"
