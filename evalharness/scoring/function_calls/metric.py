"""The metrics of answers that are calls: right calls, any call, no call."""

from __future__ import annotations

from typing import ClassVar, Literal

from evalharness.answers.base import Parser
from evalharness.answers.function_calls.calls import from_json
from evalharness.answers.function_calls.parser import FunctionCallParser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, Needs
from evalharness.scoring.function_calls.check import Rules, problem_of
from evalharness.scoring.function_calls.reference import right_calls
from evalharness.types import Attempt, Parsed, Reference, Score


class FunctionCallMetric(Metric):
    """1 where the calls are the right ones by the rules of BFCL v4 (Patil et al. 2025, "The Berkeley Function Calling
    Leaderboard"), else 0.

    The target is the JSON of documents and ground truth (reference.py). The explanation of a 0 begins with its kind,
    to be counted: ``wrong_count``, ``wrong_name``, ``positional_argument``, ``missing_argument``, ``unknown_argument``,
    ``wrong_type``, ``wrong_value``; or ``no call``, ``malformed call`` where no list of calls was read.
    """

    needs: ClassVar[Needs] = "answer"
    explains: ClassVar[bool] = True
    metric: str = "function_call"
    language: Literal["python", "java", "javascript"] = "python"
    """Whose types the documents declare; of Java and JavaScript the arguments are source text, which is converted."""
    names: Literal["exact", "dots_as_underscores"] = "exact"
    """dots_as_underscores: the right name is math_factorial where the document says math.factorial, as it must where a
    server allows no dots in the names of native functions."""
    positional: Literal["bfcl", "bind", "refuse"] = "bfcl"
    """Arguments without names. bfcl: they count for nothing in Python, and spoil a call in Java and JavaScript. bind:
    they are taken in the order of the document. refuse: they spoil the call."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        _require_calls(self.name, parser)
        if not isinstance(reference.target, str):
            raise DataError(f"the metric {self.name} needs a target that is the JSON of documents and ground truth.")
        right = right_calls(reference.target)
        if answer is None or answer.value is None:
            return Score(0.0, explanation=answer.why if answer else "no call: there is no answer")
        rules = Rules(language=self.language, names=self.names, positional=self.positional)
        problem = problem_of(from_json(answer.value), right, rules)
        return Score(1.0) if problem is None else Score(0.0, explanation=str(problem))


class NoCallMetric(Metric):
    """1 where nothing is called, as is right where no function fits the question (BFCL's irrelevance), else 0.

    As in BFCL, a text that begins a call and breaks off calls nothing.
    """

    needs: ClassVar[Needs] = "answer"
    metric: str = "no_call"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        called = _called(self.name, answer, parser)
        return Score(0.0, explanation=f"called: '{called[0]:.80}', where no function fits") if called else Score(1.0)


class AnyCallMetric(Metric):
    """1 where anything is called, as is right where some function fits the question (BFCL's relevance), else 0."""

    needs: ClassVar[Needs] = "answer"
    metric: str = "any_call"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        if _called(self.name, answer, parser):
            return Score(1.0)
        return Score(0.0, explanation=(answer.why if answer else None) or "no call: the list of calls is empty")


def _called(metric: str, answer: Parsed | None, parser: Parser | None) -> list[str]:
    """The names of what is called."""
    _require_calls(metric, parser)
    return [] if answer is None or answer.value is None else [call.name for call in from_json(answer.value)]


def _require_calls(metric: str, parser: Parser | None) -> None:
    if not isinstance(parser, FunctionCallParser):
        raise DataError(
            f"the metric {metric} reads calls of functions; give it the parser, answer: {{parser: function_call}}."
        )
