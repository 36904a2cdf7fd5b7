"""One candidate at a time, rated by a judge model on the scale of a prompt: MT-bench's single answer grading."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from evalharness.judging.asking import ERROR, UNPARSED, Asked, failure, special_tokens
from evalharness.judging.base import Bench
from evalharness.judging.prompted import Prompted
from evalharness.judging.prompts import judge_prompt
from evalharness.types import Attempt, Reference, Sample, Verdict


class Rating(Prompted):
    """The rating that the judge model gives each candidate: the label is ``rated``, and the score is the number.

    An answer without a rating, or with one that is not on the scale, has the label ``unparsed``.
    """

    compares: ClassVar[bool] = False

    judge: str = "rating"
    prompt: str = "single-v1"
    questions: str = "{{ [question] }}"
    max_tokens: int = 2048

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        return self.rendered(sample, {"answers": [answer, answer]})

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        answers = [parsed.value or "" for parsed in bench.answers()]
        return tuple(await asyncio.gather(*(self._verdict(bench, turn, answers) for turn in range(len(answers)))))

    async def _verdict(self, bench: Bench, turn: int, answers: Sequence[str]) -> Verdict:
        name, messages = self.put(bench.sample, turn, {"answers": answers}, special_tokens(bench.model))
        return self.verdict(bench, turn, [{"template": name, **await self.ask(bench, messages, turn)}])

    def read(self, asked: Sequence[Asked]) -> tuple[str, str | None, Mapping[str, Any]]:
        if (why := failure(asked)) is not None:
            return ERROR, why, {}
        form = judge_prompt(asked[0]["template"]).rating
        assert form is not None
        value, why = self.parsed(asked[0])
        scale = {"scale": [form.low, form.high]}
        return (UNPARSED, why, scale) if value is None else ("rated", None, {"score": float(value), **scale})

    def read_again(self, verdict: Verdict, reference: Reference, attempt: Attempt) -> Verdict:
        return self.again(verdict)
