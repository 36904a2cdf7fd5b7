"""How far a text is from further texts of the same model: SelfCheckGPT's formulas (Manakul et al. 2023,
arXiv:2303.08896, section 5). 0 is consistent; all are at most 1 but those of the unigram model, which have no bound."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from evalharness.scoring.instructions.text_units import sentences

UNDECIDED = 0.5
"""What a comparison counts that came to nothing."""
_TOKEN = re.compile(r"\w+|[^\w\s]")


def sentences_of(text: str) -> list[str]:
    """The sentences of every line, without white space around them."""
    return [found.strip() for line in text.splitlines() if line.strip() for found in sentences(line.strip())]


def tokens(text: str) -> list[str]:
    """Words and single marks, in lower case."""
    return _TOKEN.findall(text.lower())


def surprisals(passage: Sequence[str], samples: Sequence[str]) -> list[list[float]]:
    """``-log p(token)`` of every token of each sentence, in nats, under a unigram model.

    The model is fitted on the samples and on the passage itself, without smoothing, so every token has a probability.
    """
    counts = Counter(token for text in (*passage, *samples) for token in tokens(text))
    total = counts.total()
    return [[math.log(total / counts[token]) for token in tokens(sentence)] for sentence in passage]


def mean_surprisal(found: Sequence[Sequence[float]]) -> float:
    """The mean over all tokens of a passage."""
    return fmean(value for sentence in found for value in sentence)


def unsupported(answers: Sequence[bool | None]) -> float:
    """The mean over the samples of whether one supports a sentence: yes 0, no 1, neither one half."""
    return fmean(UNDECIDED if supports is None else float(not supports) for supports in answers)


def disagreement(agrees: Sequence[bool | None]) -> float:
    """Of the samples that answer a question at all, the share whose answer is another one than the passage's; one half
    where none does."""
    told = [each for each in agrees if each is not None]
    return fmean(float(not each) for each in told) if told else UNDECIDED


def contradiction(contradicts: float, entails: float) -> float:
    """``P(contradiction)`` of a sentence by a sample, from the logits of the two classes alone: what is neutral says
    nothing."""
    return 1 / (1 + math.exp(min(entails - contradicts, 700.0)))
