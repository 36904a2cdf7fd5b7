"""Formulas compared by value: with math-verify, with Minerva's rules, and by MATH's own string rules."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from evalharness.answers.base import Parser
from evalharness.scoring.base import Metric, Needs
from evalharness.scoring.match import raw_targets, unanswered
from evalharness.scoring.symbolic import hendrycks, workers
from evalharness.scoring.symbolic.boxes import last_box
from evalharness.scoring.symbolic.minerva import normal_form
from evalharness.scoring.symbolic.workers import Undecided
from evalharness.types import Attempt, Parsed, Reference, Score

_AROUND = "$ \n\t"
"""What may stand around a formula and is no part of it."""


class _ByWorker(Metric):
    """1 where a worker process finds the answer equal to any target, else 0.

    What it comes to no end with, in its time or memory, is worth 0 and flagged `undecided`: counted apart.
    """

    needs: ClassVar[Needs] = "answer"
    explains: ClassVar[bool] = True
    waits: ClassVar[bool] = True

    seconds: float = Field(default=5.0, gt=0.0, le=600.0)
    """Of computing, for one comparison."""

    @abstractmethod
    def equal(self, target: str, answer: str) -> bool:
        """Whether both are one.

        Raises:
            Undecided: the comparison came to no end within its limits.
            ServiceError: a package of the extra `math` is missing.
        """

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        if answer is None or answer.value is None:
            return unanswered(answer)
        limits: list[str] = []
        for target in raw_targets(reference):
            try:
                if self.equal(target, answer.value):
                    return Score(1.0)
            except Undecided as limit:
                limits.append(str(limit))
        if limits:
            return Score(0.0, explanation=f"undecided: {limits[0]}", undecided=True)
        return Score(0.0)

    def close(self) -> None:
        workers.shared().close_idle()

    def _compared(self, comparison: str, target: str, answer: str) -> bool:
        return workers.shared().compare(comparison, target, answer, self.seconds)


class MathEqual(_ByWorker):
    """math-verify's equality of two formulas, such as a `boxed` parser reads: ``\\frac{1}{2}`` is ``0.5``.

    The target is the formula itself; the one in its last box where it is a worked solution.
    """

    metric: str = "math_equal"

    def equal(self, target: str, answer: str) -> bool:
        boxed = last_box(target)
        right, said = (text.strip(_AROUND) for text in (target if boxed is None else boxed, answer))
        return right == said or self._compared("formulas", right, said)


class MathVerify(_ByWorker):
    """math-verify over whole texts, in which it finds the answers itself: lm-eval's metric `math_verify`."""

    metric: str = "math_verify"

    def equal(self, target: str, answer: str) -> bool:
        return self._compared("texts", target, answer)


class MinervaEqual(_ByWorker):
    """Minerva's equality: normal forms that are one text, or whose difference sympy simplifies to zero.

    `exact_match` of lm-eval's minerva_math. The target is the worked solution, or the answer itself.
    """

    metric: str = "minerva_equal"

    def equal(self, target: str, answer: str) -> bool:
        boxed = last_box(target)
        right, said = normal_form(target if boxed is None else boxed), normal_form(answer)
        return bool(said) and (said == right or self._compared("minerva", right, said))


class HendrycksEqual(Metric):
    """1 where the answer equals any target by the string rules of MATH's authors, else 0: nothing is computed.

    `exact_match` of lm-eval's hendrycks_math. The target is the worked solution, or the answer itself.
    """

    needs: ClassVar[Needs] = "answer"
    metric: str = "hendrycks_equal"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        if answer is None or answer.value is None:
            return unanswered(answer)
        return Score(float(any(hendrycks.equal(answer.value, right) for right in _boxed(raw_targets(reference)))))


def _boxed(targets: Sequence[str]) -> list[str]:
    return [target if (boxed := last_box(target)) is None else boxed for target in targets]
