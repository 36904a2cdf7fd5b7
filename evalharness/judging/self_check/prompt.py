"""SelfCheckGPT by prompt: a judge model is asked whether each further text supports each sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby, product
from typing import Any

from evalharness.answers.verdict import VerdictParser
from evalharness.judging.asking import ERROR, Asked, Asking, conversation, failure, special_tokens
from evalharness.judging.base import Bench
from evalharness.judging.quoting import quoted
from evalharness.judging.self_check.texts import texts_of, told
from evalharness.scoring.consistency import unsupported
from evalharness.types import Attempt, Reference, Sample, Verdict

PROMPT = (
    "Context: {context}\n\nSentence: {sentence}\n\n"
    "Is the sentence supported by the context above? Answer Yes or No.\n\nAnswer:"
)
"""The paper's (section 5.5)."""
_FENCES = ("Sentence:", "Is the sentence supported by the context above?", "Answer:")
_ANSWER = VerdictParser(labels=("yes", "no"), which="first")


class SelfCheckPrompt(Asking):
    """The share of further texts that do not support a sentence, by the judge model's word: yes 0, no 1, neither one
    half.

    A question for each sentence and further text. With the measured model's own name behind --judge-model it checks
    itself.
    """

    judge: str = "self_check_prompt"
    max_tokens: int = 5

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        return {"prompt": PROMPT}

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        texts, special = texts_of(bench), special_tokens(bench.model)
        pairs = list(product(range(len(texts.sentences)), range(len(texts.samples))))
        asked = await asyncio.gather(
            *(
                self.ask(bench, conversation(None, _question(texts.samples[j], texts.sentences[i], special)), call)
                for call, (i, j) in enumerate(pairs)
            )
        )
        of_pairs = zip(pairs, asked, strict=True)
        return (self.verdict(bench, 0, [{"sentence": i, "sample": j, **each} for (i, j), each in of_pairs]),)

    def read(self, asked: Sequence[Asked]) -> tuple[str, str | None, Mapping[str, Any]]:
        if (why := failure(asked)) is not None:
            return ERROR, why, {}
        said = [(each["sentence"], _supports(each["said"])) for each in asked]
        scores = [unsupported([word for _, word in group]) for _, group in groupby(said, key=lambda each: each[0])]
        return told(scores, unread=sum(word is None for _, word in said))

    def read_again(self, verdict: Verdict, reference: Reference, attempt: Attempt) -> Verdict:
        return self.again(verdict)


def _question(sample: str, sentence: str, special: Collection[str]) -> str:
    # On one line, as the authors' code has it.
    context = quoted(" ".join(sample.split("\n")), _FENCES, special)
    return PROMPT.format(context=context, sentence=quoted(sentence, _FENCES, special))


def _supports(said: str) -> bool | None:
    word = _ANSWER.parse(said).value
    return None if word is None else word == "yes"
