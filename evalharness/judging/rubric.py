"""A rubric of one's own: what makes an answer good, in words, and a scale."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from evalharness.answers.rating import RatingParser
from evalharness.errors import DataError
from evalharness.judging.asking import ERROR, UNPARSED, Asked, Asking, failure, shares, special_tokens
from evalharness.judging.base import Bench
from evalharness.judging.prompts import Which, judge_prompt
from evalharness.types import Attempt, Message, Reference, Sample, Verdict

PROMPT = "rubric"


class Rubric(Asking):
    """A grade by a rubric, from `low` to `high`, in double brackets after an explanation: ``rated``, or ``unparsed``.

    With `expectation` the judge model explains nothing; the score is ``Σ p(grade) grade`` over the whole grades of the
    scale, each as likely as the model finds its digits (Liu et al. 2023, arXiv:2303.16634).
    """

    templated: ClassVar[tuple[str, ...]] = ("rubric", "question", "reference")
    reads: ClassVar[tuple[str, ...]] = ("which",)

    judge: str = "rubric"
    rubric: str
    """Template: what makes an answer good, and what each grade means."""
    question: str = "{{ question }}"
    """Template: what was asked."""
    reference: str | None = None
    """Template: a right answer to compare with."""
    low: int = Field(default=1, ge=0)
    high: int = Field(default=5, le=100)
    which: Which = "last"
    """Of several grades in one answer of the judge, the one to take; `only` takes none."""
    expectation: bool = False

    @model_validator(mode="after")
    def _a_scale(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low: a scale of {self.low} to {self.high} has no two grades.")
        return self

    @property
    def verbs(self) -> frozenset[str]:
        return frozenset({"score" if self.expectation else "generate"})

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        return {"messages": [[each.role, each.content] for each in self._messages(sample, answer)]}

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        answers = [parsed.value or "" for parsed in bench.answers()]
        return tuple(await asyncio.gather(*(self._verdict(bench, number, text) for number, text in enumerate(answers))))

    async def _verdict(self, bench: Bench, number: int, answer: str) -> Verdict:
        messages = self._messages(bench.sample, answer, special_tokens(bench.model))
        if self.expectation:
            return self.verdict(bench, number, [await self.weigh(bench, messages, self._grades, number)])
        return self.verdict(bench, number, [await self.ask(bench, messages, number)])

    @property
    def _grades(self) -> list[str]:
        return [str(grade) for grade in range(self.low, self.high + 1)]

    def _messages(self, sample: Sample, answer: str, special: Sequence[str] = ()) -> tuple[Message, ...]:
        texts = {field: template({"subset": sample.subset, **sample.row}) for field, template in self._texts.items()}
        values = {
            "questions": [texts["question"]],
            "references": [texts["reference"]] if texts.get("reference") else [],
            "rubric": texts["rubric"],
            "low": self.low,
            "high": self.high,
            "expectation": self.expectation,
        }
        return judge_prompt(PROMPT).messages({"answers": [answer]}, values, special)

    def read(self, asked: Sequence[Asked]) -> tuple[str, str | None, Mapping[str, Any]]:
        if (why := failure(asked)) is not None:
            return ERROR, why, {}
        scale = {"scale": [self.low, self.high]}
        if "log_likelihoods" in asked[0]:
            found = shares(asked[0]["log_likelihoods"])
            if set(found) != set(self._grades):
                raise DataError(
                    f"{self._where}: the judge model was asked for the grades {', '.join(found)}, not for this scale; "
                    "have the texts judged again."
                )
            expected = sum(share * int(grade) for grade, share in found.items())
            return "rated", None, {"score": expected, "probabilities": found, **scale}
        parsed = RatingParser(low=self.low, high=self.high, which=self.which).parse(asked[0]["said"])
        if parsed.value is None:
            return UNPARSED, parsed.why, scale
        return "rated", None, {"score": float(parsed.value), **scale}

    def read_again(self, verdict: Verdict, reference: Reference, attempt: Attempt) -> Verdict:
        return self.again(verdict)
