"""A metric of references over more of them than the data have: those that the judge `paraphrase` made."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from pydantic import model_validator

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, Needs, build_metrics
from evalharness.scoring.match import raw_targets
from evalharness.types import Attempt, Parsed, Reference, Score


class MultipliedReferences(Metric):
    """Another metric, with the paraphrases of the references for targets beside them (Tang et al. 2023, Para-Ref,
    arXiv:2305.15067); with `gain` what that adds to its value.

    A metric that takes the best of several targets can only rise, for good texts and for bad ones: whether it then
    agrees better with people is what the paper measures, with people's ratings, and no run shows it by itself.
    """

    needs: ClassVar[Needs] = "answer"
    tells_right: ClassVar[bool] = False
    metric: str = "multiplied_references"
    of: str | dict[str, Any] = "rouge"
    """The metric, by name or with its options."""
    judge: str = "paraphrase"
    """Of the task's judges, the one whose verdicts hold the paraphrases."""
    gain: bool = False
    """The difference to the metric with the data's own references, in place of its value."""

    @model_validator(mode="after")
    def _a_mean(self) -> MultipliedReferences:
        if self.inner.needs != "answer" or self.inner.aggregate != "mean" or not self.inner.higher_is_better:
            raise ValueError(f"of: {self.inner.name} is no mean over answers, the higher the better; name rouge, say.")
        return self

    @cached_property
    def inner(self) -> Metric:
        """The metric that is given more references."""
        (metric,) = build_metrics([self.of], f"{self.name}.of")
        return metric

    @property
    def signature(self) -> str | None:
        return self.inner.signature

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        made = [verdict for verdict in attempt.verdicts if verdict.judge == self.judge]
        if not made:
            raise DataError(
                f"the metric '{self.name}' reads verdicts of the judge '{self.judge}', and the attempt has none; list "
                "it under judging, and run again with --judge-model MODEL."
            )
        if all(verdict.label == "error" for verdict in made):
            return Score(0.0, weight=0.0, explanation=f"the judge failed: {made[0].explanation}")
        texts = [text for verdict in made for text in verdict.details["paraphrases"]]
        own = self.inner.score(attempt, reference, answer, parser)
        more = replace(reference, target=(*raw_targets(reference), *texts))
        found = self.inner.score(attempt, more, answer, parser)
        said = f"{own.value:.4g} with the references, {found.value:.4g} with {len(texts)} more"
        return Score(found.value - own.value if self.gain else found.value, explanation=said)
