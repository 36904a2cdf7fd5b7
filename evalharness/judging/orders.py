"""Two candidates in both orders: what two answers of a judge say together."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any, Literal

from evalharness.judging.asking import UNPARSED

Side = Literal["first", "second", "tie"]
"""Which of two was preferred, by the place where it was shown."""

INCONSISTENT = "inconsistent"
WORTH = {"win": 1.0, "tie": 0.5, "loss": 0.0}
"""Of an outcome, for the candidate."""


def outcome(side: str | None, *, candidate_first: bool) -> str | None:
    """``win``, ``loss`` or ``tie`` for the candidate; None where nothing was said."""
    if side is None or side == "tie":
        return side
    return "win" if (side == "first") == candidate_first else "loss"


def together(outcomes: Sequence[str | None]) -> str:
    """The label of both orders: ``inconsistent`` where they differ, ``unparsed`` where one says nothing."""
    if None in outcomes:
        return UNPARSED
    return str(outcomes[0]) if len(set(outcomes)) == 1 else INCONSISTENT


def facts_of(outcomes: Sequence[str | None], preferences: Sequence[float] | None = None) -> dict[str, Any]:
    """What a verdict keeps: the outcomes by order, that with the candidate first before the other; and the candidate's
    share of the preference, where both orders said something.

    Args:
        preferences: the judge's probability of the candidate, by order, where it is known.
    """
    facts: dict[str, Any] = {"orders": list(outcomes)}
    if preferences is not None:
        facts["preference"] = fmean(preferences)
    elif None not in outcomes:
        facts["preference"] = fmean(WORTH[str(each)] for each in outcomes)
    return facts
