"""Whether what was retrieved holds an answer, beside whether the answer was right."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar

from pydantic import PositiveInt

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, Needs
from evalharness.scoring.match import raw_targets
from evalharness.types import Attempt, Parsed, Reference, Score


class RetrievalRecall(Metric):
    """recall@k: 1 where one of the first k passages holds any of the targets as whole words, else 0.

    What DPR calls top-k accuracy and ``has_answer`` (Karpukhin et al. 2020, arXiv:2004.04906): texts are brought to
    Unicode's form NFD, parted into words (letters, digits and marks) and single other characters, without case, and a
    target counts where its parts follow each other in the passage. Nothing says that the passage answers the question:
    "two" is found in many.
    """

    needs: ClassVar[Needs] = "answer"
    tells_right: ClassVar[bool] = False
    explains: ClassVar[bool] = True
    metric: str = "retrieval_recall"
    k: PositiveInt = 5
    passages: str = "passages"
    """Name of the fact that lists the passages' texts, the best first."""

    @property
    def name(self) -> str:
        return self.label or f"{self.metric}@{self.k}"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        texts = self.fact(reference, self.passages)
        if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
            raise DataError(f"the metric '{self.name}' needs a list of texts as the fact '{self.passages}'.")
        targets = [(target, _parts(target)) for target in raw_targets(reference)]
        for place, text in enumerate(texts[: self.k], start=1):
            said = _parts(text)
            for target, parts in targets:
                if _follow(parts, said):
                    return Score(1.0, explanation=f"passage {place} holds '{target:.60}'")
        return Score(0.0)


def _parts(text: str) -> list[str]:
    normal = unicodedata.normalize("NFD", text).lower()
    parts: list[str] = []
    for kind, characters in groupby(normal, _kind):
        if kind == "word":
            parts.append("".join(characters))
        elif kind == "other":
            parts += characters
    return parts


def _kind(character: str) -> str:
    category = unicodedata.category(character)[0]
    return "word" if category in "LNM" else "space" if category in "ZC" else "other"


def _follow(parts: Sequence[str], said: Sequence[str]) -> bool:
    if not parts:
        return False
    return any(said[at : at + len(parts)] == parts for at in range(len(said) - len(parts) + 1))
