"""SelfCheckGPT by question answering: do the further texts answer questions about a sentence as the text does?"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar

from pydantic import Field

from evalharness.judging.asking import ERROR, Asked, Asking, conversation, failure, special_tokens
from evalharness.judging.base import Bench
from evalharness.judging.quoting import quoted
from evalharness.judging.self_check.texts import texts_of, told
from evalharness.scoring.consistency import disagreement
from evalharness.scoring.match import token_f1, words_of
from evalharness.types import Attempt, Reference, Sample, Verdict

ASK = (
    "Sentence: {sentence}\n\nWrite one short question whose answer stands in the sentence above, so that it can be "
    "understood without the sentence. Write the question alone.\n\nQuestion:"
)
ANSWER = (
    "Context: {context}\n\nQuestion: {question}\n\nAnswer the question from the context above in a few words, or say "
    "unknown where the context does not tell.\n\nAnswer:"
)
_FENCES = ("Write one short question", "Question:", "Answer the question from the context above", "Answer:")
UNKNOWN = "unknown"


class SelfCheckQuestion(Asking):
    """The share of further texts that answer a question about a sentence otherwise than the text itself does.

    The judge model writes a question about each sentence and answers it from the text and from every further one; two
    answers agree whose words overlap with an F1 of at least `agreement`. A text that says ``unknown`` does not count,
    and a question that the text itself leaves open counts one half. The paper (section 5.2) has models of its own for
    this, which write four choices for each question.
    """

    reads: ClassVar[tuple[str, ...]] = ("agreement",)

    judge: str = "self_check_question"
    max_tokens: int = 32
    agreement: float = Field(default=0.5, gt=0.0, le=1.0)
    """Overlap of two answers from which on they are the same."""

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        return {"ask": ASK, "answer": ANSWER}

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        texts, special = texts_of(bench), special_tokens(bench.model)
        contexts = (bench.attempt.candidates[0], *texts.samples)
        step = len(contexts) + 1

        async def about(place: int, sentence: str) -> list[Asked]:
            first = step * place
            written = await self.ask(bench, _messages(ASK, special, sentence=sentence), first)
            if "error" in written:
                return [{"sentence": place, **written}]
            question = written["said"].strip()
            answered = await asyncio.gather(
                *(
                    self.ask(bench, _messages(ANSWER, special, context=context, question=question), first + 1 + number)
                    for number, context in enumerate(contexts)
                )
            )
            return [{"sentence": place, **each} for each in (written, *answered)]

        asked = await asyncio.gather(*(about(place, sentence) for place, sentence in enumerate(texts.sentences)))
        return (self.verdict(bench, 0, [each for group in asked for each in group]),)

    def read(self, asked: Sequence[Asked]) -> tuple[str, str | None, Mapping[str, Any]]:
        if (why := failure(asked)) is not None:
            return ERROR, why, {}
        scores = []
        for _, group in groupby(asked, key=lambda each: each["sentence"]):
            _, own, *others = (_answer(each["said"]) for each in group)
            scores.append(disagreement([self._agree(own, other) for other in others]))
        return told(scores)

    def _agree(self, own: str | None, other: str | None) -> bool | None:
        if own is None or other is None:
            return None
        return token_f1(words_of(own), words_of(other)) >= self.agreement

    def read_again(self, verdict: Verdict, reference: Reference, attempt: Attempt) -> Verdict:
        return self.again(verdict)


def _messages(prompt: str, special: Collection[str], **values: str) -> tuple[Any, ...]:
    return conversation(None, prompt.format(**{key: quoted(text, _FENCES, special) for key, text in values.items()}))


def _answer(said: str) -> str | None:
    """The first line; None where the context does not tell."""
    line = next(iter(said.strip().splitlines()), "")
    return None if not words_of(line) or words_of(line)[0] == UNKNOWN else line
