"""Judging programs by what they make of given inputs: whole programs by what they print, functions by what they return.

Test cases and rules are those of APPS (Hendrycks et al. 2021, arXiv:2105.09938; ``eval/testing_util.py``).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field

from evalharness.errors import DataError
from evalharness.judging.base import Bench, Judge
from evalharness.judging.literals import literal
from evalharness.judging.outputs import same_output
from evalharness.judging.programs import boxes_of, facts_of, fault_of, labelled
from evalharness.prompting.templates import Expression, Template
from evalharness.sandbox.outcome import Limits, Outcome
from evalharness.types import Parsed, Sample, Verdict

_SHOWN = 200
"""Characters of an output that an explanation shows."""
_SAME = """\
def same(output, right):
    if isinstance(output, tuple):
        output = list(output)
    first = right[0] if isinstance(right, list) and right else right
    if output == right or output == first:
        return True
    try:
        return isinstance(output[0], tuple) and [list(item) for item in output] == right[0]
    except Exception:
        return False

"""
"""Whether a function returned what is right; JSON has no tuples, and some outputs are wrapped in a list."""
_UNLOADABLE = ("SyntaxError", "IndentationError", "TabError")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """What is run for one answer."""

    program: str
    inputs: Sequence[Any]
    """Standard inputs, or lists of arguments where there is a function."""
    outputs: Sequence[Any]
    function: str | None


@dataclass(frozen=True, slots=True)
class _Ended:
    """One test case of a candidate."""

    label: str
    explanation: str | None
    outcome: Outcome


class InputOutput(Judge):
    """Runs each candidate once for every input and compares outside of its box; ``pass`` where all are right.

    A program that reads its input has it as standard input and is judged by what it printed (`outputs.same_output`).
    With a `function`, that is called in the candidate's box and its value compared in another one. The label is that
    of the first test that does not pass; `details` say how many did, for the metric ``tests_passed``.
    """

    executes: ClassVar[bool] = True
    templated: ClassVar[tuple[str, ...]] = ("program", "inputs", "outputs", "function")

    judge: str = "input_output"
    program: str = "{{ answer }}"
    """Template: the candidate as a program. Beside the row's columns it sees `answer`, what the parser found."""
    inputs: str
    """Expression: a list with the input of each test, a text or a list of lines; with a function, of its arguments."""
    outputs: str
    """Expression: what is right for each of them."""
    function: str = "{{ none }}"
    """Expression: the function that is called; none where programs read standard input."""
    method_of: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")
    """Class whose method the function is, in programs that define the class."""
    seconds: float = Field(default=4.0, gt=0.0)
    """Time limit of a test."""
    seconds_in_all: float | None = Field(default=None, gt=0.0)
    """Time limit of all tests together; a program that exceeds it passes none of them."""
    stop_at_failure: bool = False
    """Whether the first test that does not pass is the last one: how many would pass is then not known."""

    @cached_property
    def _program(self) -> Template:
        return Template(self.program, f"{self._where}.program")

    @cached_property
    def _values(self) -> Mapping[str, Expression]:
        fields = ("inputs", "outputs", "function")
        return {field: Expression(getattr(self, field), f"{self._where}.{field}") for field in fields}

    @property
    def templates(self) -> Sequence[Template | Expression]:
        return [self._program, *self._values.values()]

    def cases(self, sample: Sample, answer: str) -> Cases:
        """What is run where a sample is answered so.

        Raises:
            DataError: a template fails on the row, there is no test, or inputs and outputs do not pair up.
        """
        row = {"subset": sample.subset, **sample.row, "answer": answer}
        values = {field: expression(row) for field, expression in self._values.items()}
        inputs, outputs, function = values["inputs"], values["outputs"], values["function"]
        for field in ("inputs", "outputs"):
            if not isinstance(values[field], list | tuple) or not values[field]:
                raise DataError(
                    f"{self._where}.{field}: sample {sample.id}: this field must yield a list with something for each "
                    f"test, not {values[field]!r:.80}."
                )
        if len(inputs) != len(outputs):
            raise DataError(
                f"{self._where}: sample {sample.id} has {len(inputs)} inputs and {len(outputs)} outputs; each test has "
                "one of both."
            )
        if function is not None and not (isinstance(function, str) and function.isidentifier()):
            raise DataError(
                f"{self._where}.function: this field must yield a function's name or none, not {function!r}."
            )
        return Cases(program=self._program(row), inputs=inputs, outputs=outputs, function=function)

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        return asdict(self.cases(sample, answer))

    def faults(self, sample: Sample, answer: str) -> list[tuple[str, str]]:
        if (fault := fault_of(self.cases(sample, answer).program)) is None:
            return []
        return [("program", f"the program of sample {sample.id} is no Python: {fault}.")]

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        judged = (self._verdict(bench, number, parsed) for number, parsed in enumerate(bench.answers()))
        return tuple(await asyncio.gather(*judged))

    async def _verdict(self, bench: Bench, number: int, parsed: Parsed) -> Verdict:
        if parsed.value is None:
            return Verdict(judge=self.judge, candidate=number, label="error", explanation=parsed.why)
        cases = self.cases(bench.sample, parsed.value)
        ended: list[_Ended] = []
        taken = 0.0
        for place in range(len(cases.inputs)):
            ended.append(await self._tested(bench, cases, place))
            taken += ended[-1].outcome.seconds
            if self._over(ended[-1], taken):
                break
        return self._summed(cases, ended, taken, number)

    def _summed(self, cases: Cases, ended: Sequence[_Ended], taken: float, number: int) -> Verdict:
        """The verdict that tests in order come to."""
        labels = [each.label for each in ended]
        wrong = next((place for place, label in enumerate(labels) if label != "pass"), None)
        shown = ended[-1 if wrong is None else wrong]
        label, passed, told = shown.label, labels.count("pass"), None
        if self._exceeded(taken):
            label, passed, told = "timeout", 0, f"longer than {self.seconds_in_all:g} s for all of its tests together"
        elif wrong is not None:
            told = f"test {wrong + 1} of {len(cases.inputs)}: {shown.explanation or shown.label}"
        return Verdict(
            judge=self.judge,
            candidate=number,
            label=label,
            explanation=told,
            details={
                "program": cases.program,
                **facts_of(shown.outcome),
                "seconds": round(taken, 3),
                "tests": len(cases.inputs),
                "passed": passed,
                "labels": dict(Counter(labels)),
            },
        )

    def _over(self, last: _Ended, taken: float) -> bool:
        """Whether no further test needs to be run."""
        if last.label == "pass" or self._exceeded(taken):
            return self._exceeded(taken)
        # What cannot be loaded for one test cannot be for another.
        hopeless = last.label == "missing_package" or (last.explanation or "").startswith(_UNLOADABLE)
        return self.stop_at_failure or hopeless

    def _exceeded(self, taken: float) -> bool:
        return self.seconds_in_all is not None and taken > self.seconds_in_all

    async def _tested(self, bench: Bench, cases: Cases, place: int) -> _Ended:
        given, right = _with_whole_keys(cases.inputs[place]), _with_whole_keys(cases.outputs[place])
        limits = Limits(seconds=self.seconds)
        if cases.function is not None:
            outcome = await boxes_of(bench).test(
                self._bound(cases),
                setup=f"{_SAME}arguments = {literal(given)}\nright = {literal(right)}",
                tests=f"output = {cases.function}(*arguments)\nassert same(output, right)",
                calls=(cases.function,),
                limits=limits,
            )
            label, explanation = await labelled(bench, outcome, "")
            return _Ended(label, explanation, outcome)
        outcome = await boxes_of(bench).run(cases.program, stdin=_text(given), limits=limits)
        label, explanation = await labelled(bench, outcome, "")
        if label == "pass" and not same_output(outcome.stdout, _text(right)):
            label = "fail"
            explanation = f"it printed {outcome.stdout!r:.{_SHOWN}}, and {_text(right)!r:.{_SHOWN}} is right"
        return _Ended(label, explanation, outcome)

    def _bound(self, cases: Cases) -> str:
        """The program, with a method of its class as the function that is called."""
        if self.method_of is None or f"class {self.method_of}" not in cases.program:
            return cases.program
        return f"{cases.program}\n{cases.function} = {self.method_of}().{cases.function}\n"


def _text(value: Any) -> str:
    """What a program reads or prints; a list is its lines."""
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _with_whole_keys(value: Any) -> Any:
    """JSON has texts for the keys of a dictionary; the one given, or that stands first in a list, had numbers."""
    found = value[0] if isinstance(value, list) and value else value
    if not isinstance(found, dict):
        return value
    try:
        return [{int(key): item for key, item in found.items()}]
    except ValueError:
        return value
