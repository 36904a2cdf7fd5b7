"""Denoising: spans of a document are taken out, a sentinel stands for each, and what stood there is to be said.

Letters in names: N tokens of a document.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evalharness.stack.corpus.options import Section
from evalharness.stack.training.examples import Example

SENTINEL = "<extra_id_{}>"
"""Special tokens that stand for the spans of a document, from 0 on; T5's names."""


class DenoiserOptions(Section):
    """One way to corrupt a document: which share of it is taken out, and in which pieces."""

    rate: float = Field(default=0.15, gt=0, lt=1)
    """Share of a document's tokens that are taken out."""
    span: float | None = Field(default=None, ge=1, allow_inf_nan=False)
    """Tokens of a span in the mean. Unless given, the end of the document is taken out in one piece, for which no
    sentinel stands: a prefix LM."""
    mode: str | None = Field(default=None, min_length=1)
    """A special token that is put in front of what is left, so that a model can be told what to do (UL2)."""
    share: float = Field(default=1, gt=0, allow_inf_nan=False)
    """Of the documents, in proportion to the other denoisers'."""

    def noise(self, length: int) -> tuple[int, int]:
        """How many of a document's tokens are taken out, and how many sentinels stand for them.

        As in T5's `random_spans_noise_mask`: ``round(rate length)`` tokens in ``round(tokens / span)`` spans, at least
        one of each, and a token at least is left before every span. Of a single token nothing is taken out.
        """
        if length < 2:
            return 0, 0
        tokens = min(max(round(length * self.rate), 1), length - 1)
        spans = 0 if self.span is None else min(max(round(tokens / self.span), 1), length - tokens)
        return tokens, spans

    def sizes(self, length: int) -> tuple[int, int]:
        """Tokens of what is given and of what is to be said, of a document of so many."""
        tokens, spans = self.noise(length)
        return length - tokens + spans + (self.mode is not None), tokens + spans


def noise_mask(length: int, options: DenoiserOptions, random: np.random.Generator) -> NDArray[np.bool_]:
    """Which tokens of a document are taken out (Raffel et al. 2020, arXiv 1910.10683, section 3.1.4; the algorithm is
    that of T5's `random_spans_noise_mask`).

    What is kept and what is taken out alternate, beginning with what is kept and ending with a span, so that the end
    of a document is always to be said; all masks of that form are equally likely. Where there is one span, it
    therefore is the end of the document.
    """
    tokens, spans = options.noise(length)
    if spans < 2:
        return np.arange(length) >= length - tokens
    kept, taken = _cut(length - tokens, spans, random), _cut(tokens, spans, random)
    return np.repeat(np.arange(2 * spans) % 2 == 1, np.stack([kept, taken], axis=1).ravel())


def _cut(count: int, parts: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Sizes of so many parts that are not empty, all ways to cut being equally likely."""
    cuts = np.sort(random.permutation(count - 1)[: parts - 1]) + 1
    return np.diff(cuts, prepend=0, append=count)


def corrupted(
    tokens_N: NDArray[Any], noise_N: NDArray[np.bool_], sentinels: Sequence[int] | NDArray[np.int64]
) -> Example:
    """What is left, with a sentinel for each span that was taken out; and each sentinel with what it stands for.
    Without sentinels, what was taken out alone."""
    tokens_N = tokens_N.astype(np.int64)
    if not len(sentinels):
        return Example(tokens_N[~noise_N], tokens_N[noise_N])
    starts_N = noise_N & ~np.concatenate([[False], noise_N[:-1]])
    standing = np.asarray(sentinels, np.int64)[: np.count_nonzero(starts_N)]
    inputs = tokens_N.copy()
    inputs[starts_N] = standing
    return Example(
        inputs[~noise_N | starts_N], np.insert(tokens_N[noise_N], np.flatnonzero(starts_N[noise_N]), standing)
    )
