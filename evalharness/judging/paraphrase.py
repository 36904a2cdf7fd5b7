"""References in other words, by the judge model: metrics that compare with a reference then see more than one of them.

After Para-Ref (Tang et al. 2023, arXiv:2305.15067): the same text in several manners; the wordings are our own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from evalharness.errors import DataError
from evalharness.judging.asking import ERROR, UNPARSED, Asked, Asking, conversation, failure
from evalharness.judging.base import Bench
from evalharness.types import Attempt, Message, Reference, Sample, Verdict

WORDINGS = (
    "Say the text in other words, with the same meaning.",
    "Use synonyms or related words, with the same meaning.",
    "Change the order of what the text says, with the same meaning.",
    "Change how its sentences are built, with the same meaning.",
    "Change between active and passive voice, with the same meaning.",
    "Change the tense where that keeps the meaning.",
    "Change the tone, with the same meaning.",
    "Change the style, with the same meaning.",
    "Put the text more formally, with the same meaning.",
    "Put the text less formally, with the same meaning.",
)
PARAPHRASED, PARTLY = "paraphrased", "partly"

_LEAD_IN = re.compile(r"\A[^\n]*:[ \t]*\n+(?=\S)|\A(?:text|paraphrase|here is[^\n:]*|sure[^\n:]*):\s*", re.IGNORECASE)
_QUOTES = {'"': '"', "“": "”", "'": "'", "«": "»"}


class Paraphrase(Asking):
    """Asks for every reference in each of the `wordings`; what was said are the verdict's ``paraphrases``.

    It judges nothing. There is one verdict an attempt, since paraphrases are not of what the model wrote: the label is
    ``paraphrased``, ``partly`` where some questions brought nothing, ``unparsed`` where all of them did.
    """

    judge: str = "paraphrase"
    wordings: tuple[str, ...] = Field(default=WORDINGS, min_length=1)
    """One paraphrase is asked for with each."""

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        return {"messages": [[each.role, each.content] for put in self._questions([answer]) for each in put]}

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        questions = self._questions(_texts(self.judge, bench.reference))
        asked = await asyncio.gather(*(self.ask(bench, put, call) for call, put in enumerate(questions)))
        return (self.verdict(bench, 0, asked),)

    def _questions(self, texts: Sequence[str]) -> list[tuple[Message, ...]]:
        return [
            conversation(None, f"{wording} Reply with the new text alone.\n\nText: {text}")
            for text in texts
            for wording in self.wordings
        ]

    def read(self, asked: Sequence[Asked]) -> tuple[str, str | None, Mapping[str, Any]]:
        texts = [_paraphrase(each["said"]) for each in asked if "said" in each]
        found = list(dict.fromkeys(text for text in texts if text))
        why = failure(asked)
        if not texts:
            return ERROR, why, {"paraphrases": []}
        label = UNPARSED if not found else PARAPHRASED if all(texts) and why is None else PARTLY
        return label, why, {"paraphrases": found}

    def read_again(self, verdict: Verdict, reference: Reference, attempt: Attempt) -> Verdict:
        return self.again(verdict)


def _texts(name: str, reference: Reference) -> list[str]:
    targets = reference.target if isinstance(reference.target, tuple) else (reference.target,)
    texts = [target for target in targets if isinstance(target, str) and target.strip()]
    if not texts:
        raise DataError(f"the judge '{name}' paraphrases right texts, and the target is {reference.target!r:.40}.")
    return texts


def _paraphrase(said: str) -> str:
    """The first paragraph, without what leads into it and quotation marks around it; empty where there is none."""
    text = _LEAD_IN.sub("", said.strip(), count=1).strip()
    text = re.split(r"\n\s*\n", text, maxsplit=1)[0].strip()
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1]
    return " ".join(text.split())
