"""How well a text is predicted: perplexities, bits a byte, and whether greedy decoding would say it."""

from __future__ import annotations

import math
from typing import ClassVar

from evalharness.answers.base import Parser
from evalharness.errors import DataError
from evalharness.scoring.base import Aggregate, Metric, Needs
from evalharness.types import Attempt, Likelihood, Parsed, Reference, Score

LARGEST_EXPONENT = 700.0
"""exp of it is still a finite double."""


class GreedyMatch(Metric):
    """1 where every token of the continuation is the likeliest one, else 0 (``acc`` of LAMBADA elsewhere)."""

    needs: ClassVar[Needs] = "continuation"
    metric: str = "greedy_match"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        continuation = _continuation(self.name, attempt)
        if not continuation.greedy:
            raise DataError(
                f"the metric '{self.name}' needs to know of each token whether it is the likeliest, "
                "but the backend's answer does not say."
            )
        return Score(float(continuation.is_greedy))


class Perplexity(Metric):
    """``exp(-Σ log p(continuation) / n)`` over n samples; a sample's value is ``exp(-log p(continuation))``."""

    needs: ClassVar[Needs] = "continuation"
    higher_is_better: ClassVar[bool] = False
    aggregate: ClassVar[Aggregate] = "geometric_mean"
    metric: str = "perplexity"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        return _perplexity(_continuation(self.name, attempt).total, 1)


class _DocumentPerplexity(Metric):
    """``exp(-Σ log p(document) / Σ units)``: a sample's value by its own units, weighted by them."""

    needs: ClassVar[Needs] = "document"
    higher_is_better: ClassVar[bool] = False
    aggregate: ClassVar[Aggregate] = "geometric_mean"
    unit: ClassVar[str]

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        units = _units(self.name, reference, self.unit)
        if not units:
            return Score(1.0, 0.0, f"the document has no {self.unit}")
        return _perplexity(_document(self.name, attempt), units)


class WordPerplexity(_DocumentPerplexity):
    """Perplexity a word of the document, whatever the model's tokens."""

    unit: ClassVar[str] = "words"
    metric: str = "word_perplexity"


class BytePerplexity(_DocumentPerplexity):
    """Perplexity a UTF-8 byte of the document, whatever the model's tokens."""

    unit: ClassVar[str] = "bytes"
    metric: str = "byte_perplexity"


class BitsPerByte(Metric):
    """``-Σ log₂ p(document) / Σ bytes``: a sample's value by its own bytes, weighted by them."""

    needs: ClassVar[Needs] = "document"
    higher_is_better: ClassVar[bool] = False
    metric: str = "bits_per_byte"

    def score(self, attempt: Attempt, reference: Reference, answer: Parsed | None, parser: Parser | None) -> Score:
        units = _units(self.name, reference, "bytes")
        if not units:
            return Score(0.0, 0.0, "the document has no bytes")
        return Score(-_document(self.name, attempt) / units / math.log(2), float(units), None)


def _perplexity(log_likelihood: float, units: int) -> Score:
    """``exp(-log_likelihood / units)`` weighted by the units, kept finite; not a number stays what it is."""
    exponent = -log_likelihood / units
    if math.isnan(exponent):
        return Score(math.nan, float(units), "the log-likelihood is not a number")
    bounded = max(-LARGEST_EXPONENT, min(LARGEST_EXPONENT, exponent))
    why = (
        None if bounded == exponent else f"the log-likelihood {log_likelihood} is out of range; its exponent is bounded"
    )
    return Score(math.exp(bounded), float(units), why)


def _continuation(name: str, attempt: Attempt) -> Likelihood:
    if len(attempt.likelihoods) != 1:
        raise DataError(
            f"the metric '{name}' needs the log-likelihood of one continuation, but got {len(attempt.likelihoods)}."
        )
    return attempt.likelihoods[0]


def _document(name: str, attempt: Attempt) -> float:
    """Log-likelihood of a document: the sum over its windows."""
    if not attempt.likelihoods:
        raise DataError(f"the metric '{name}' needs the log-likelihood of a document, but got none.")
    return math.fsum(window.total for window in attempt.likelihoods)


def _units(name: str, reference: Reference, unit: str) -> int:
    if unit not in reference.units:
        raise DataError(f"the metric '{name}' divides by the document's {unit}, but the reference does not count them.")
    return reference.units[unit]
