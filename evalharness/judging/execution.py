"""Judging programs by running them: a candidate becomes a program, and tests in another box call its functions."""

from __future__ import annotations

import ast
import asyncio
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field

from evalharness.errors import DataError, ServiceError
from evalharness.judging.base import Bench, Judge
from evalharness.prompting.templates import Expression, Template
from evalharness.sandbox.outcome import Limits, Outcome
from evalharness.types import Parsed, Sample, Verdict

TAIL = 2000
"""Characters of what a program printed that a verdict keeps, from its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is run for one answer."""

    program: str
    setup: str
    tests: str
    calls: tuple[str, ...]
    reference: str | None
    in_box: bool


class Execution(Judge):
    """Runs each candidate in the sandbox and tests it: ``pass``, or how it failed (`sandbox.outcome.Status`).

    The tests run in a box of their own, where each name of `calls` calls the candidate's function through a pipe: the
    candidate neither sees them nor can say what came of them. `in_box` runs them in the candidate's process, for tests
    that hand over objects of the candidate's own classes. A candidate without an answer has the label ``error``.
    """

    executes: ClassVar[bool] = True
    templated: ClassVar[tuple[str, ...]] = ("program", "setup", "tests", "calls", "reference", "in_box")

    judge: str = "execution"
    program: str = "{{ answer }}"
    """Template: the candidate as a program. Beside the row's columns it sees `answer`, what the parser found."""
    setup: str = ""
    """Template: what is run before the tests, beside them: helpers and imports that they use."""
    tests: str
    """Template: Python that raises where the program is wrong."""
    calls: str
    """Expression: the names of the program's functions that the tests call, as a list."""
    reference: str | None = None
    """Template: a right program. Where it is slow itself, a candidate that reaches the time limit gets more."""
    in_box: bool | str = False
    """Whether the tests run in the program's own process; or an expression that says so of a row."""
    seconds: float = Field(default=3.0, gt=0.0)
    """Time limit of a program with its tests."""

    @cached_property
    def _texts(self) -> Mapping[str, Template]:
        sources = {"program": self.program, "setup": self.setup, "tests": self.tests, "reference": self.reference}
        return {
            field: Template(source, f"{self._where}.{field}") for field, source in sources.items() if source is not None
        }

    @cached_property
    def _calls(self) -> Expression:
        return Expression(self.calls, f"{self._where}.calls")

    @cached_property
    def _in_box(self) -> Expression | None:
        return Expression(self.in_box, f"{self._where}.in_box") if isinstance(self.in_box, str) else None

    @property
    def templates(self) -> Sequence[Template | Expression]:
        return [*self._texts.values(), self._calls, *([self._in_box] if self._in_box else [])]

    def trial(self, sample: Sample, answer: str) -> Trial:
        """What is run where a sample is answered so.

        Raises:
            DataError: a template fails on the row, or yields no list of names, or no truth value.
        """
        values = {"subset": sample.subset, **sample.row, "answer": answer}
        texts = {field: template(values) for field, template in self._texts.items()}
        calls = self._calls(values)
        if not isinstance(calls, list | tuple) or not all(isinstance(n, str) and n.isidentifier() for n in calls):
            raise DataError(f"{self._calls.where}: this field must yield a list of function names, not {calls!r:.80}.")
        in_box = self._in_box(values) if self._in_box else self.in_box
        if not isinstance(in_box, bool):
            raise DataError(f"{self._where}.in_box: this field must yield true or false, not {in_box!r:.80}.")
        return Trial(
            program=texts["program"],
            setup=texts["setup"],
            tests=texts["tests"],
            calls=tuple(calls),
            reference=texts.get("reference"),
            in_box=in_box,
        )

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        trial = asdict(self.trial(sample, answer))
        return {**trial, "calls": list(trial["calls"])}

    def faults(self, sample: Sample, answer: str) -> list[tuple[str, str]]:
        trial = self.trial(sample, answer)
        found = [
            (field, f"the {field} of sample {sample.id} is no Python: {fault}.")
            for field in ("program", "setup", "tests", "reference")
            if (source := getattr(trial, field)) and (fault := _fault(source))
        ]
        if not trial.calls and not trial.in_box:
            found.append(("calls", f"the tests of sample {sample.id} call no function of the program; name one."))
        return found

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        judged = (self._verdict(bench, number, parsed) for number, parsed in enumerate(bench.answers()))
        return tuple(await asyncio.gather(*judged))

    async def _verdict(self, bench: Bench, number: int, parsed: Parsed) -> Verdict:
        if parsed.value is None:
            return Verdict(judge=self.judge, candidate=number, label="error", explanation=parsed.why)
        if bench.sandbox is None:
            raise ServiceError(f"{bench.task}: a program is judged by running it, and this run has no sandbox.")
        trial = self.trial(bench.sample, parsed.value)
        outcome = await bench.sandbox.test(
            trial.program,
            tests=trial.tests,
            calls=trial.calls,
            setup=trial.setup,
            in_box=trial.in_box,
            limits=Limits(seconds=self.seconds),
            reference=trial.reference,
        )
        if outcome.status == "sandbox_error":
            raise ServiceError(f"{bench.task}: the sandbox failed, not the program: {outcome.explanation}")
        return Verdict(
            judge=self.judge,
            candidate=number,
            label=outcome.status,
            explanation=outcome.explanation,
            details={"program": trial.program, **_facts(outcome)},
        )


def _facts(outcome: Outcome) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "level": outcome.level,
        "in_box": outcome.in_box,
        "seconds": round(outcome.seconds, 3),
    }
    for stream, text in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
        if text:
            facts[stream] = text[-TAIL:]
    return facts


def _fault(source: str) -> str | None:
    """Why a text is no Python program; None where it is one."""
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(source)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__
    return None
