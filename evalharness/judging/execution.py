"""Judging programs by running them: a candidate becomes a program, and tests in another box call its functions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field

from evalharness.errors import DataError
from evalharness.judging.base import Bench, Judge
from evalharness.judging.programs import boxes_of, facts_of, fault_of, labelled
from evalharness.prompting.templates import Expression, Template
from evalharness.sandbox.outcome import Limits
from evalharness.types import Parsed, Sample, Verdict

_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is run for one answer."""

    program: str
    setup: str
    tests: str
    calls: tuple[str, ...]
    reference: str | None
    in_box: bool
    disk: int = 0


class Execution(Judge):
    """Runs each candidate in the sandbox and tests it: ``pass``, or how it failed (`sandbox.outcome.Status`).

    The tests run in a box of their own, where each name of `calls` calls the candidate's function through a pipe: the
    candidate neither sees them nor can say what came of them. `in_box` runs them in the candidate's process, for tests
    that hand over objects of the candidate's own classes. A candidate without an answer has the label ``error``, and
    one that imports what the boxes' Python does not have ``missing_package``.
    """

    executes: ClassVar[bool] = True
    templated: ClassVar[tuple[str, ...]] = (
        "program", "setup", "tests", "calls", "reference", "in_box", "as_text", "memory", "disk",
    )  # fmt: skip

    judge: str = "execution"
    program: str = "{{ answer }}"
    """Template: the candidate as a program. Beside the row's columns it sees `answer`, what the parser found."""
    setup: str = ""
    """Template: what is run before the tests, beside them: helpers and imports that they use."""
    tests: str
    """Template: Python that raises where the program is wrong."""
    calls: str = "{{ [] }}"
    """Expression: the names of the program's functions that the tests call, as a list."""
    reference: str | None = None
    """Template: a right program. Where it is slow itself, a candidate that reaches the time limit gets more."""
    in_box: bool | str = False
    """Whether the tests run in the program's own process; or an expression that says so of a row."""
    as_text: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")
    """Name of the variable in which the tests find the program as a text, for tests that run it themselves as a part of
    another; needs `in_box`."""
    seconds: float = Field(default=3.0, gt=0.0)
    """Time limit of a program with its tests."""
    memory: int = Field(default=1024, ge=64)
    """MiB of address space."""
    disk: int | str = Field(default=0)
    """MiB of files that may be written, in the folder that it runs in; or an expression that says so of a row."""

    @cached_property
    def _texts(self) -> Mapping[str, Template]:
        sources = {"program": self.program, "setup": self.setup, "tests": self.tests, "reference": self.reference}
        return {
            field: Template(source, f"{self._where}.{field}") for field, source in sources.items() if source is not None
        }

    @cached_property
    def _values(self) -> Mapping[str, Expression]:
        sources = {"calls": self.calls, "in_box": self.in_box, "disk": self.disk}
        return {
            field: Expression(source, f"{self._where}.{field}")
            for field, source in sources.items()
            if isinstance(source, str)
        }

    @property
    def templates(self) -> Sequence[Template | Expression]:
        return [*self._texts.values(), *self._values.values()]

    def trial(self, sample: Sample, answer: str) -> Trial:
        """What is run where a sample is answered so.

        Raises:
            DataError: a template fails on the row, or yields no list of names, no truth value or no number.
        """
        row = {"subset": sample.subset, **sample.row, "answer": answer}
        texts = {field: template(row) for field, template in self._texts.items()}
        values: dict[str, Any] = {"in_box": self.in_box, "disk": self.disk}
        values |= {field: expression(row) for field, expression in self._values.items()}
        for field, fits, what in (
            ("calls", _is_names(values["calls"]), "a list of function names"),
            ("in_box", isinstance(values["in_box"], bool), "true or false"),
            ("disk", type(values["disk"]) is int and values["disk"] >= 0, "a whole number of MiB"),
        ):
            if not fits:
                raise DataError(f"{self._where}.{field}: this field must yield {what}, not {values[field]!r:.80}.")
        return Trial(
            program=texts["program"],
            setup=texts["setup"],
            tests=texts["tests"],
            calls=tuple(values["calls"]),
            reference=texts.get("reference"),
            in_box=values["in_box"],
            disk=values["disk"],
        )

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        trial = asdict(self.trial(sample, answer))
        # Options that came later than the first hashes count where they are set.
        later = {"as_text": self.as_text, "memory": self.memory, "disk": trial.pop("disk")}
        unset = {"as_text": None, "memory": Execution.model_fields["memory"].default, "disk": 0}
        return {
            **trial,
            "calls": list(trial["calls"]),
            **{key: later[key] for key in later if later[key] != unset[key]},
        }

    def faults(self, sample: Sample, answer: str) -> list[tuple[str, str]]:
        trial = self.trial(sample, answer)
        found = [
            (field, f"the {field} of sample {sample.id} is no Python: {fault}.")
            for field in ("program", "setup", "tests", "reference")
            if not (self.as_text and field in ("program", "reference"))  # those are parts of a program
            if (source := getattr(trial, field)) and (fault := fault_of(source))
        ]
        if not trial.calls and not trial.in_box:
            found.append(("calls", f"the tests of sample {sample.id} call no function of the program; name one."))
        if self.as_text and not trial.in_box:
            found.append(("as_text", f"the tests of sample {sample.id} run in a box without the program; set in_box."))
        return found

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        judged = (self._verdict(bench, number, parsed) for number, parsed in enumerate(bench.answers()))
        return tuple(await asyncio.gather(*judged))

    async def _verdict(self, bench: Bench, number: int, parsed: Parsed) -> Verdict:
        if parsed.value is None:
            return Verdict(judge=self.judge, candidate=number, label="error", explanation=parsed.why)
        trial = self.trial(bench.sample, parsed.value)
        outcome = await boxes_of(bench).test(
            self._source(trial.program),
            tests=trial.tests,
            calls=trial.calls,
            setup=trial.setup,
            in_box=trial.in_box,
            limits=Limits(seconds=self.seconds, memory=self.memory * _MEBIBYTE, disk=trial.disk * _MEBIBYTE),
            reference=None if trial.reference is None else self._source(trial.reference),
        )
        label, explanation = await labelled(bench, outcome, f"{trial.setup}\n{trial.tests}")
        return Verdict(
            judge=self.judge,
            candidate=number,
            label=label,
            explanation=explanation,
            details={"program": trial.program, **facts_of(outcome)},
        )

    def _source(self, program: str) -> str:
        return f"{self.as_text} = {program!r}" if self.as_text else program


def _is_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) and name.isidentifier() for name in value)
