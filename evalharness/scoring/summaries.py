"""Overlap of a summary with a reference by rouge-score."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Literal

from evalharness.answers.base import Parser
from evalharness.errors import DataError, ServiceError
from evalharness.scoring.base import Metric, Needs
from evalharness.types import Attempt, Parsed, Reference, Score

Kind = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]


class Rouge(Metric):
    """ROUGE F1, 0 to 1, by rouge-score: words, pairs of words or the longest common subsequence (Lin 2004).

    The best over several targets. Words are lower-cased runs of ASCII letters and digits, so it is for English: a text
    in another script has none, and scores 0.
    """

    needs: ClassVar[Needs] = "answer"
    metric: str = "rouge"
    kind: Kind = "rougeL"
    """rougeLsum takes each line for a sentence."""
    stemmer: bool = False
    """Compare words of more than three letters by their Porter stems."""

    @property
    def signature(self) -> str:
        from importlib.metadata import version

        return f"{self.kind}|f1|stemmer:{'yes' if self.stemmer else 'no'}|rouge-score:{version('rouge-score')}"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        targets = reference.target if isinstance(reference.target, tuple) else (reference.target,)
        if not all(isinstance(target, str) for target in targets):
            raise DataError(f"the metric {self.name} needs right texts, and the target is {reference.target!r:.40}.")
        if answer is None or answer.value is None:
            return Score(0.0, explanation=answer.why if answer else "there is no answer")
        found = _scorer(self.kind, self.stemmer).score_multi(targets, answer.value)[self.kind]
        return Score(float(found.fmeasure), explanation=f"precision {found.precision:.3f}, recall {found.recall:.3f}")


@cache
def _scorer(kind: Kind, stemmer: bool) -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise ServiceError(
            "the metric rouge needs the package 'rouge-score'; install it with pip install 'evalharness[generation]'."
        ) from None
    return RougeScorer([kind], use_stemmer=stemmer)
