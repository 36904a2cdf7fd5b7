"""How often a judge gave the label that is wanted."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from evalharness.scoring.verdicts import VerdictShare


class WantedVerdict(VerdictShare):
    """1 where the judge's verdict has one of these labels, else 0, also where it could not be read; higher is better.

    Of several candidates the share. A judge that failed says nothing of the candidate, which is then left out.
    """

    higher_is_better: ClassVar[bool] = True
    metric: str = "wanted_verdict"
    judge: str = "question"
    verdicts: tuple[str, ...] = Field(default=("yes",), min_length=1)
    """The labels that are wanted."""
