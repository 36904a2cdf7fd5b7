"""SelfCheckGPT with a unigram model: no further model is needed."""

from __future__ import annotations

from evalharness.judging.base import Bench, Judge
from evalharness.judging.self_check.texts import texts_of, verdict
from evalharness.scoring.consistency import mean_surprisal, surprisals
from evalharness.types import Verdict


class SelfCheckUnigram(Judge):
    """How unexpected a text is to a unigram model of it and the further ones, in nats; it has no upper bound.

    ``score`` is the mean over sentences of each one's least expected token (the paper's Unigram (max), the better one
    there), ``mean`` the mean over all tokens. Tokens are words and single marks; the paper has spaCy's.
    """

    judge: str = "self_check_unigram"

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        texts = texts_of(bench)
        found = surprisals(texts.sentences, texts.samples)
        mean = {"mean": mean_surprisal(found)} if found else {}
        return (verdict(self.judge, [max(each) for each in found], **mean),)
