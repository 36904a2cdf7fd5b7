"""One question about each candidate, with a few labels for an answer: any prompt of one's own, any backend as judge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from evalharness.answers.verdict import Labels, VerdictParser
from evalharness.errors import DataError
from evalharness.judging.asking import ERROR, UNPARSED, Asked, Asking, conversation, failure, shares, special_tokens
from evalharness.judging.base import Bench
from evalharness.judging.quoting import fences_of, quoted
from evalharness.types import Attempt, Message, Reference, Sample, Verdict


class Question(Asking):
    """Asks the judge model `prompt` about each candidate; the verdict is the label that it says, else ``unparsed``.

    With `probabilities` nothing is generated: the labels' log-likelihoods are compared, the verdict is the likeliest
    one and the score is the expectation ``Σ p(label) score(label)``.
    """

    templated: ClassVar[tuple[str, ...]] = ("prompt", "system")
    reads: ClassVar[tuple[str, ...]] = ("labels", "which", "ignore_case", "scores")

    judge: str = "question"
    prompt: str
    """Template: the question. Beside the row's columns it sees `answer`, what the task's parser found."""
    system: str | None = None
    """Template: the system turn before it."""
    labels: Labels
    """What the judge model may answer; or by label its spellings (`answers.verdict`)."""
    which: Literal["only", "first", "last"] = "only"
    """Of several labels in one answer, the one to take; `only` takes none."""
    ignore_case: bool = True
    scores: dict[str, float] = Field(default_factory=dict)
    """By label the number that metrics such as judge_score read."""
    probabilities: bool = False
    """Compare the log-likelihoods of the labels (of each one's first spelling) in place of asking for a text."""

    @model_validator(mode="after")
    def _scores_of_labels(self) -> Self:
        labels = self._parser.spellings
        if self.scores and set(self.scores) != set(labels):
            raise ValueError(f"scores: give every label its number: {', '.join(labels)}.")
        return self

    @cached_property
    def _parser(self) -> VerdictParser:
        return VerdictParser(labels=self.labels, which=self.which, ignore_case=self.ignore_case)

    @property
    def verbs(self) -> frozenset[str]:
        return frozenset({"score" if self.probabilities else "generate"})

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        return {"messages": [[each.role, each.content] for each in self._messages(sample, answer, ())]}

    def faults(self, sample: Sample, answer: str) -> list[tuple[str, str]]:
        if "answer" in self._texts["prompt"].columns:
            return super().faults(sample, answer)
        return [("prompt", "it does not show the judge what was answered; add {{ answer }}.")]

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        answers = [parsed.value or "" for parsed in bench.answers()]
        return tuple(await asyncio.gather(*(self._verdict(bench, number, text) for number, text in enumerate(answers))))

    async def _verdict(self, bench: Bench, number: int, answer: str) -> Verdict:
        messages = self._messages(bench.sample, answer, special_tokens(bench.model))
        if self.probabilities:
            spelled = [spellings[0] for spellings in self._parser.spellings.values()]
            return self.verdict(bench, number, [await self.weigh(bench, messages, spelled, number)])
        return self.verdict(bench, number, [await self.ask(bench, messages, number)])

    def _messages(self, sample: Sample, answer: str, special: Sequence[str]) -> tuple[Message, ...]:
        said = quoted(answer, fences_of(self.prompt), special)
        row = {"subset": sample.subset, **sample.row, "answer": said}
        texts = {field: template(row) for field, template in self._texts.items()}
        return conversation(texts.get("system"), texts["prompt"])

    def read(self, asked: Sequence[Asked]) -> tuple[str, str | None, Mapping[str, Any]]:
        if (why := failure(asked)) is not None:
            return ERROR, why, {}
        if "log_likelihoods" in asked[0]:
            return self._weighed(asked[0]["log_likelihoods"])
        parsed = self._parser.parse(asked[0]["said"])
        if parsed.value is None:
            return UNPARSED, parsed.why, self._scored(None)
        return parsed.value, None, self._scored(self.scores.get(parsed.value))

    def _weighed(self, log_likelihoods: Mapping[str, float]) -> tuple[str, str | None, Mapping[str, Any]]:
        labels = {spelled: self._parser.canonical(spelled) for spelled in log_likelihoods}
        if set(labels.values()) != set(self._parser.spellings):
            raise DataError(
                f"{self._where}.labels: the judge model was asked for {', '.join(log_likelihoods)}, not for these "
                "labels; have the texts judged again."
            )
        found = {labels[spelled]: share for spelled, share in shares(log_likelihoods).items()}
        likeliest = max(found, key=lambda label: found[label])
        expected = sum(share * self.scores[label] for label, share in found.items()) if self.scores else None
        return likeliest, None, {"probabilities": found, **self._scored(expected)}

    def _scored(self, score: float | None) -> dict[str, Any]:
        if not self.scores:
            return {}
        scale = {"scale": [min(self.scores.values()), max(self.scores.values())]}
        return scale if score is None else {"score": score, **scale}

    def read_again(self, verdict: Verdict, reference: Reference, attempt: Attempt) -> Verdict:
        return self.again(verdict)
