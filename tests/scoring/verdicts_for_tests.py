"""Verdicts as judges of pairs give them, by what each order said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evalharness.judging.orders import facts_of, together
from evalharness.types import Attempt, Verdict


def pair(*orders: str | None, candidate: int = 0, judge: str = "pairwise", **details: Any) -> Verdict:
    """A verdict of two orders: ``pair("win", "loss")`` is inconsistent, ``pair()`` is of a judge that failed."""
    if not orders:
        return Verdict(judge=judge, candidate=candidate, label="error", explanation="away", details={})
    facts = {**facts_of(orders), "lengths": [10, 10], **details}
    return Verdict(judge=judge, candidate=candidate, label=together(orders), details=facts)


def rated(score: float | None, candidate: int = 0, judge: str = "rating") -> Verdict:
    """A rating from 1 to 10; None is unparsed."""
    facts = {"scale": [1, 10]} if score is None else {"score": score, "scale": [1, 10]}
    return Verdict(judge=judge, candidate=candidate, label="unparsed" if score is None else "rated", details=facts)


def attempt(verdicts: Sequence[Verdict]) -> Attempt:
    return Attempt(calls=(), candidates=("said",) * len(verdicts), verdicts=tuple(verdicts))
