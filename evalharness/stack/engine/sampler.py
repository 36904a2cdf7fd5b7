"""Draws the next token from logits.

A draw takes one uniform number from the request's own generator and reads it off the cumulated probabilities
in the order of the vocabulary: it depends on that request's logits and seed, never on what else is in the batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from evalharness.stack.engine.requests import Sampling

LIKELIEST = 1024
"""Top-p looks at this many tokens first: sorting a vocabulary of 49,152 costs twenty times as much."""


def generator(seed: int, number: int) -> torch.Generator:
    """The random stream of one text: seeded by a hash of (seed of the request, number of the text)."""
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class Drawing(Protocol):
    """A text that wants its next token."""

    @property
    def sampling(self) -> Sampling: ...

    random: torch.Generator


def draw(logits_RV: Tensor, texts: Sequence[Drawing]) -> list[int]:
    """The next token of every text from its row."""
    likeliest: list[int] = logits_RV.argmax(-1).tolist()
    return [
        id if text.sampling.temperature == 0 else sample(logits_V, text.sampling, text.random)
        for id, logits_V, text in zip(likeliest, logits_RV, texts, strict=True)
    ]


def sample(logits_V: Tensor, sampling: Sampling, random: torch.Generator) -> int:
    """The id drawn by ``softmax(logits / temperature)``, cut by top-k and then top-p; greedy at temperature 0."""
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    probabilities_V = probabilities(logits_V, sampling).double().cpu()
    cumulated_V = probabilities_V.cumsum(0)
    point = torch.rand((), generator=random, dtype=torch.float64) * cumulated_V[-1]
    drawn = int(torch.searchsorted(cumulated_V, point, right=True))
    return min(drawn, int(probabilities_V.nonzero()[-1]))


def probabilities(logits_V: Tensor, sampling: Sampling) -> Tensor:
    """What `sample` draws from: shape [V], zero outside the kept tokens, summing to 1."""
    logits_V = logits_V.float() / sampling.temperature
    if 0 < sampling.top_k < logits_V.numel():
        kept = logits_V.topk(sampling.top_k).indices
        logits_V = torch.full_like(logits_V, -torch.inf).index_copy(0, kept, logits_V[kept])
    probabilities_V = logits_V.softmax(0)
    if sampling.top_p >= 1:
        return probabilities_V
    return _nucleus(probabilities_V, sampling.top_p)


def _nucleus(probabilities_V: Tensor, top_p: float) -> Tensor:
    """The fewest likeliest tokens that together reach `top_p` (Holtzman et al. 2019, arXiv:1904.09751)."""
    count = probabilities_V.numel()
    ranked, ids = probabilities_V.topk(min(LIKELIEST, count))
    if float(ranked.sum()) < top_p:
        ranked, ids = probabilities_V.sort(descending=True)
    before = ranked.cumsum(0) - ranked
    kept = ids[before < top_p]
    cut_V = torch.zeros_like(probabilities_V).index_copy(0, kept, probabilities_V[kept])
    return cut_V / cut_V.sum()
