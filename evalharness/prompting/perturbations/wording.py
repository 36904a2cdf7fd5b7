"""The question in other words: another template around it, or one of the wordings that its task offers."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from evalharness.errors import UsageError, nearest
from evalharness.prompting.perturbations.base import Perturbation, Wording, below


class OtherWording(Perturbation):
    """By `to`, one of the task's `prompt.wordings`; by `around`, another template of prompts/ in place of the task's
    `prompt.template`; with neither, a wording drawn for each sample.

    `rate` is the share of samples that are put so, all by default.
    """

    perturbation: str = "wording"
    to: str | None = None
    """Name of one of the task's wordings."""
    around: str | None = None
    """Name of a template in prompts/: ``q_a``."""

    def wording(self, known: Sequence[str], random: Random) -> Wording:
        if self.to is not None and self.to not in known:
            raise UsageError(f"wording:to={self.to}: the task has no such wording; {nearest(self.to, known)}")
        if self.to is None and self.around is None and not known:
            raise UsageError(
                "wording: this task offers no other wording (prompt.wordings); name a template: wording:around=q_a."
            )
        if random.random() >= self.rate:
            return Wording()
        drawn = known[below(random, len(known))] if self.to is None and self.around is None else self.to
        return Wording(self.around, drawn)
