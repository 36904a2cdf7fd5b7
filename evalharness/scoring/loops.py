"""What a loop of thoughts, actions and observations came to: whether it ended, and what it took."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, Needs
from evalharness.types import Attempt, Parsed, Reference, Score


class _OfSteps(Metric):
    """A number that the steps of a loop come to."""

    needs: ClassVar[Needs] = "steps"
    higher_is_better: ClassVar[bool] = False
    tells_right: ClassVar[bool] = False

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        if not attempt.steps:
            raise DataError(
                f"the metric '{self.name}' reads the steps of a loop, and the attempt has none; choose a method that "
                "loops, such as react."
            )
        return Score(float(self.counted(attempt)))

    @abstractmethod
    def counted(self, attempt: Attempt) -> int:
        """Of an attempt that has steps."""


class Finished(_OfSteps):
    """1 where the model itself ended the loop, 0 where its steps ran out."""

    higher_is_better: ClassVar[bool] = True
    metric: str = "finished"

    def counted(self, attempt: Attempt) -> int:
        return attempt.steps[-1].status == "finished"


class Steps(_OfSteps):
    """How many turns there were, the last one included."""

    metric: str = "steps"

    def counted(self, attempt: Attempt) -> int:
        return len(attempt.steps)


class BadCalls(_OfSteps):
    """How often what the model wrote was no turn, so that it was asked again."""

    metric: str = "bad_calls"

    def counted(self, attempt: Attempt) -> int:
        return sum(step.again is not None for step in attempt.steps)


class FailedActions(_OfSteps):
    """How many actions were none, named no tool, or came to nothing: neither ``ok`` nor ``finished``."""

    metric: str = "failed_actions"

    def counted(self, attempt: Attempt) -> int:
        return sum(step.status not in ("ok", "finished") for step in attempt.steps)


class ToolUses(_OfSteps):
    """How often tools were used."""

    metric: str = "tool_uses"
    tool: str | None = None
    """Only this one."""

    def counted(self, attempt: Attempt) -> int:
        return sum(self.tool in (None, use.tool) for use in attempt.tool_uses)
