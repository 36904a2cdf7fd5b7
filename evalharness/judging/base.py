"""What a judge is, and what it is handed: one finished attempt, and what may be used to judge it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import PrivateAttr

from evalharness.answers.base import Parser, build_named
from evalharness.elicitation.base import Executor
from evalharness.errors import DataError
from evalharness.judging.model import JudgeModel
from evalharness.options import Options
from evalharness.prompting.templates import Expression, Template
from evalharness.types import Attempt, Parsed, Reference, Sample, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One attempt at one sample, before its judges: their window to what they may use, as `Ask` is the methods'."""

    task: str
    sample: Sample
    reference: Reference
    attempt: Attempt
    repeat: int = 0
    parser: Parser | None = None
    """The task's, which reads the candidates."""
    sandbox: Executor | None = None
    """Where programs are executed; None where no judge of the task executes any."""
    model: JudgeModel | None = None
    """The run's judge model; None where no judge of the task asks one."""

    def answers(self) -> list[Parsed]:
        """What the task's parser reads in each candidate; the whole text where the task parses nothing."""
        if self.parser is None:
            return [Parsed(text, (0, len(text))) for text in self.attempt.candidates]
        return [self.parser.parse(text, self.reference.choices) for text in self.attempt.candidates]


class Judge(Options):
    """One way to judge the candidates of an attempt. Subclasses are the entries of a task's `judging:`."""

    version: ClassVar[int] = 1
    """Raised with every change of a verdict; part of the protocol's hash."""
    executes: ClassVar[bool] = False
    """Whether it runs programs, so that a run of the task needs a sandbox."""
    asks: ClassVar[bool] = False
    """Whether it asks a model, so that a run of the task needs a judge model."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Its options that decide only how what was said is read: `read_again` may follow others than a run had."""
    templated: ClassVar[tuple[str, ...]] = ()
    """Its options that are templates: the protocol's hash covers what they render, as `shown` says."""

    judge: str
    """Registered name."""

    _where: str = PrivateAttr("judging")
    """The place of its entry in a task file, for what is wrong with a template."""

    @property
    def templates(self) -> Sequence[Template | Expression]:
        """Its templates over the columns of a row; each knows its field."""
        return ()

    @property
    def verbs(self) -> frozenset[str]:
        """What the judge model must be able to do, of a judge that asks one: ``generate``, ``score``."""
        return frozenset({"generate"})

    @property
    def columns(self) -> frozenset[str]:
        """The columns of a row that its verdicts depend on: a sample's content hash covers them."""
        return frozenset().union(*(template.columns for template in self.templates)) - {"answer", "subset"}

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        """What it would judge if a sample were answered so: plain JSON, for readers and for the protocol's hash.

        Raises:
            DataError: a template fails on the row.
        """
        return {}

    def faults(self, sample: Sample, answer: str) -> list[tuple[str, str]]:
        """What is wrong where this answer is a right one: options and sentences, found without judging."""
        return []

    async def prepare(self, task: str, sandbox: Executor | None) -> None:
        """Called once, before anything is asked of the model.

        Raises:
            UsageError: the user left out what the task leaves to them.
            ServiceError, DataError: something that it needs is not here, or is faulty.
        """

    @abstractmethod
    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        """A verdict for each candidate, in order.

        Raises:
            EvalHarnessError: what judges failed, which says nothing of the candidate: the sample fails.
        """

    def read_again(self, verdict: Verdict, reference: Reference, attempt: Attempt) -> Verdict:
        """A recorded verdict of this judge with its raw text read as today's rules do; nothing is asked again."""
        return verdict


def build_judges(specs: Sequence[str | Mapping[str, Any]], where: str) -> tuple[Judge, ...]:
    """The judges that a task's `judging:` lists: names, or ``{judge: name, ...options}``; their templates compiled.

    Raises:
        DataError: an unknown judge or option, a template that does not parse, or one judge twice.
    """
    judges: list[Judge] = []
    for number, spec in enumerate(specs):
        place = f"{where}[{number}]"
        judge = build_named("judge", spec, place, Judge)  # type: ignore[type-abstract]
        judge._where = place
        _ = judge.templates
        if judge.judge in [other.judge for other in judges]:
            raise DataError(f"{place}: the judge '{judge.judge}' is listed twice; metrics find verdicts by that name.")
        judges.append(judge)
    return tuple(judges)
