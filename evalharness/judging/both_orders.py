"""The model under test as a judge: what it said of two texts in both orders, read as one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, Literal

from evalharness.answers.verdict import VerdictParser
from evalharness.errors import DataError
from evalharness.judging.asking import UNPARSED
from evalharness.judging.base import Bench, Judge
from evalharness.judging.orders import facts_of, outcome, together
from evalharness.types import Attempt, Reference, Verdict


class BothOrders(Judge):
    """Reads the two candidates of the method `pairwise_judgement` and asks no model.

    The label is ``win`` where both prefer the text that was shown first at first, ``loss`` where both prefer the other,
    ``tie``, ``inconsistent`` where they differ, or ``unparsed`` where one of them says nothing.
    """

    reads: ClassVar[tuple[str, ...]] = ("labels", "which", "ignore_case")

    judge: str = "both_orders"
    labels: dict[Literal["first", "second", "tie"], tuple[str, ...]]
    """How each outcome is spelled: ``{first: ["Output (a)"], second: ["Output (b)"]}``."""
    which: Literal["only", "first", "last"] = "only"
    """Of several in one text, the one to take; `only` takes none."""
    ignore_case: bool = True

    @cached_property
    def _parser(self) -> VerdictParser:
        labels = {str(side): spellings for side, spellings in self.labels.items()}
        return VerdictParser(labels=labels, which=self.which, ignore_case=self.ignore_case)

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        return (self._verdict(bench.attempt.candidates),)

    def read_again(self, verdict: Verdict, reference: Reference, attempt: Attempt) -> Verdict:
        return self._verdict(attempt.candidates)

    def _verdict(self, said: Sequence[str]) -> Verdict:
        if len(said) != 2:
            raise DataError(
                f"{self._where}: this judge reads two answers, one for each order, and the attempt has {len(said)}; "
                "use the method pairwise_judgement."
            )
        found = [self._parser.parse(text) for text in said]
        read = [outcome(parsed.value, candidate_first=not number) for number, parsed in enumerate(found)]
        why = "; ".join(f"order {number}: {parsed.why}" for number, parsed in enumerate(found, 1) if parsed.why)
        label = together(read)
        return Verdict(
            judge=self.judge,
            candidate=0,
            label=label,
            explanation=why if label == UNPARSED else None,
            details=facts_of(read),
        )
