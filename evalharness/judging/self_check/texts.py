"""What is compared: the sentences of a text, and the texts that the method self_check drew beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from evalharness.errors import UsageError
from evalharness.judging.base import Bench
from evalharness.scoring.consistency import sentences_of
from evalharness.types import Verdict

SCORED, EMPTY = "scored", "empty"
"""Labels of a text that was compared, and of one that holds no sentence."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A text by its sentences, and the further ones."""

    sentences: tuple[str, ...]
    samples: tuple[str, ...]


def texts_of(bench: Bench) -> Texts:
    """What an attempt brings to compare.

    Raises:
        UsageError: no further texts were drawn.
    """
    attempt = bench.attempt
    drawn = tuple(completion.text for call in attempt.calls[-1:] for completion in call.completions)
    if not drawn or drawn == attempt.candidates:
        raise UsageError(
            f"{bench.task}: a text is checked against further ones, which the method self_check draws; add --method "
            "self_check."
        )
    return Texts(tuple(sentences_of(attempt.candidates[0])), drawn)


def told(scores: Sequence[float], **details: Any) -> tuple[str, str | None, Mapping[str, Any]]:
    """Label, explanation and details of the verdict on a text: the mean over its sentences, and each one's score. There
    is none of a text that is empty."""
    if not scores:
        return EMPTY, "the text holds no sentence", {}
    return SCORED, None, {"score": fmean(scores), "sentences": list(scores), **details}


def verdict(judge: str, scores: Sequence[float], **details: Any) -> Verdict:
    """The same as the verdict of a judge that asks no model."""
    label, explanation, found = told(scores, **details)
    return Verdict(judge=judge, candidate=0, label=label, explanation=explanation, details=found)
