"""Metrics of two candidates that were judged in both orders: which side wins, how much the place decides, and whether
people say the same. They read verdicts of `pairwise` and `both_orders`; nothing is judged here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import ClassVar, Literal

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Aggregate
from evalharness.scoring.verdicts import ERROR, UNPARSED, OfVerdicts, OnUnparsed, dropped_mean
from evalharness.stats.length_control import WIDTH, pair_parts
from evalharness.types import Attempt, Parsed, Reference, Score, Verdict

WORTH = {"win": 1.0, "tie": 0.5, "inconsistent": 0.5, "loss": 0.0}
"""Of a verdict: two orders that disagree are no win for either side, which is a tie (Zheng et al. 2023)."""
OUTCOMES = ("win", "tie", "loss")


class OfPairs(OfVerdicts):
    """Base: the candidate is the first side, and its verdicts are win, loss, tie, inconsistent, unparsed or error."""

    judge: str = "pairwise"
    on_unparsed: OnUnparsed = "tie"
    """What a pair counts as for which one order says nothing: a tie, a loss of the candidate, nothing (drop); with fail
    the sample fails. Show its share beside (`verdict_share`)."""

    def worth(self, verdict: Verdict, of: float | None) -> float | None:
        """`of`, unless there is nothing to read; None for what is left out."""
        if verdict.label == ERROR or (verdict.label == UNPARSED and self.on_unparsed == "drop"):
            return None
        if verdict.label == UNPARSED:
            if self.on_unparsed == "fail":
                raise self.unread(verdict)
            return 0.5 if self.on_unparsed == "tie" else 0.0
        return of


class WinRate(OfPairs):
    """The share of pairs that the candidate wins, ties and orders that disagree counting one half.

    With ``by: preference`` a pair counts what the judge's probability of the candidate is, over both orders: AlpacaEval
    2's win rate, whose standard error is ``sd / √n`` with ddof 1 (Dubois et al. 2024, arXiv:2404.04475), while verdicts
    give its discrete one.
    """

    metric: str = "win_rate"
    by: Literal["verdict", "preference"] = "verdict"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        return dropped_mean([self._value(verdict) for verdict in self.judged(attempt)])

    def _value(self, verdict: Verdict) -> float | None:
        said = WORTH.get(verdict.label) if self.by == "verdict" else verdict.details.get("preference")
        found = self.worth(verdict, None if said is None else float(said))
        if found is None and verdict.label in WORTH:
            raise DataError(f"the metric '{self.name}' reads preferences, and the judge '{self.judge}' gives none.")
        return found


class LengthControlledWinRate(OfPairs):
    """The win rate without what the judge gives for longer answers (`stats.length_control`), 0 to 1.

    A metric of the corpus: a sample's own value is its preference, and is in no mean.
    """

    aggregate: ClassVar[Aggregate] = "corpus_length_controlled"
    metric: str = "length_controlled_win_rate"
    difficulty: str | None = None
    """Name of the fact that gives the instruction's difficulty; the model has no such term without it."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        (verdict, *others) = self.judged(attempt)
        if others:
            raise DataError(f"the metric '{self.name}' reads one verdict, not {len(others) + 1}; pick one with turn.")
        said = verdict.details.get("preference")
        preference = self.worth(verdict, None if said is None else float(said))
        if preference is None:
            return Score(0.0, weight=0.0, parts=(0.0,) * WIDTH)
        own, other = verdict.details["lengths"]
        hard = float(self.fact(reference, self.difficulty)) if self.difficulty else 0.0
        return Score(preference, parts=pair_parts(preference, float(other) - float(own), hard))


class FirstPositionRate(OfVerdicts):
    """Of the orders in which one side was preferred, the share of those in which it was the side shown first.

    One half is the ideal. Its distance from there is what a judge gives for the place.
    """

    higher_is_better: ClassVar[bool] = False
    metric: str = "first_position_rate"
    judge: str = "pairwise"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        firsts = [
            (outcome == "win") == (number == 0)
            for verdict in self.judged(attempt)
            for number, outcome in enumerate(orders_of(verdict))
            if outcome in ("win", "loss")
        ]
        return Score(fmean(firsts), weight=len(firsts) / 2) if firsts else Score(0.0, weight=0.0)


class PositionConsistency(OfVerdicts):
    """The share of pairs whose two orders agree, of those where both say something."""

    metric: str = "position_consistency"
    judge: str = "pairwise"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        labels = [verdict.label for verdict in self.judged(attempt)]
        return dropped_mean([float(label != "inconsistent") if label in WORTH else None for label in labels])


class AgreesWithPeople(OfPairs):
    """Base of metrics that compare a verdict with what people said of the pair.

    What people said is the target, or a fact: 1, 2 or tie, or win, loss or tie for the first side.
    """

    judge: str = "both_orders"
    human: str | None = None
    """Name of the fact that holds what people said; the target without it."""

    def said_by_people(self, reference: Reference) -> str:
        """win, loss or tie.

        Raises:
            DataError: something else.
        """
        said = reference.target if self.human is None else self.fact(reference, self.human)
        found = _PEOPLE.get(str(said).strip().lower())
        if found is None:
            raise DataError(
                f"the metric '{self.name}' compares with what people said: 1, 2 or tie, or win, loss or tie, and not "
                f"{said!r:.60}."
            )
        return found


_PEOPLE = {"1": "win", "2": "loss", "win": "win", "loss": "loss", "tie": "tie"}


class JudgementAccuracy(AgreesWithPeople):
    """The share of orders in which the side that people prefer is preferred: LLMBar's average accuracy (Zeng et al.
    2024, arXiv:2310.07641). An order that says nothing counts as `on_unparsed` says; a tie counts one half.
    """

    tells_right: ClassVar[bool] = True
    metric: str = "judgement_accuracy"
    on_unparsed: OnUnparsed = "loss"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        people = self.said_by_people(reference)
        values: list[float | None] = []
        for verdict in self.judged(attempt):
            for outcome in orders_of(verdict):
                if outcome is not None:
                    values.append(0.5 if outcome == "tie" else float(outcome == people))
                elif verdict.label == UNPARSED:
                    values.append(self.worth(verdict, None))
        return dropped_mean(values or [None])

    def chance(self, reference: Reference) -> float | None:
        return 0.5


class HumanAgreement(AgreesWithPeople):
    """The share of verdicts that people share, over both orders: one that disagrees with itself is a tie.

    Without ties, pairs that people or the judge call a tie are left out (Zheng et al. 2023, setup S2).
    """

    metric: str = "human_agreement"
    ties: bool = True

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        people = self.said_by_people(reference)
        return dropped_mean([self._value(verdict, people) for verdict in self.judged(attempt)])

    def _value(self, verdict: Verdict, people: str) -> float | None:
        said = outcome_of(verdict)
        if not self.ties and "tie" in (said, people):
            return None
        return self.worth(verdict, float(said == people))


class HumanKappa(AgreesWithPeople):
    """Cohen's kappa of the verdicts and what people said, over win, tie and loss; pairs without a verdict are left out.

    A metric of the corpus: a sample's own value is whether both say the same, and is in no mean.
    """

    aggregate: ClassVar[Aggregate] = "corpus_kappa"
    metric: str = "human_kappa"
    on_unparsed: OnUnparsed = "drop"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        people = OUTCOMES.index(self.said_by_people(reference))
        counts = [0.0] * len(OUTCOMES) ** 2
        agreed: list[float | None] = []
        for verdict in self.judged(attempt):
            said = outcome_of(verdict)
            if said is None and self.worth(verdict, None) is not None:
                said = "tie" if self.on_unparsed == "tie" else "loss"
            if said is not None:
                counts[len(OUTCOMES) * OUTCOMES.index(said) + people] += 1
            agreed.append(None if said is None else float(OUTCOMES.index(said) == people))
        found = dropped_mean(agreed)
        return Score(found.value, weight=found.weight, parts=tuple(counts))


def outcome_of(verdict: Verdict) -> str | None:
    """win, tie or loss over both orders, two that disagree being a tie; None where there is no verdict."""
    return "tie" if verdict.label == "inconsistent" else verdict.label if verdict.label in OUTCOMES else None


def orders_of(verdict: Verdict) -> Sequence[str | None]:
    """The outcomes by order, that with the candidate first before the other; none of a judge that failed."""
    details: Mapping[str, Sequence[str | None]] = verdict.details
    return details.get("orders", ())
