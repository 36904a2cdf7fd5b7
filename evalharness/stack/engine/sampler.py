"""Draws the next token from logits.

Logits are changed in this order: bias, repetition penalty, presence and frequency penalty, what a constraint allows;
then ``softmax(logits / temperature)`` is cut by top-k, top-p and min-p. A draw takes one uniform number from the text's
own generator and reads it off the cumulated probabilities: it depends on that text's logits, history and seed, never on
what else is in the batch.

Letters in names: R rows, V the vocabulary, K tokens in order of probability.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from evalharness.stack.engine.requests import Constraint, Likeliest, Sampling

LIKELIEST = 1024
"""Cuts look at this many tokens first: sorting a vocabulary of 49,152 costs twenty times as much."""
ROWS_AT_ONCE = 16
"""Probabilities of so many rows at a time stay in a processor's cache."""


def generator(seed: int, number: int) -> torch.Generator:
    """The random stream of one text: seeded by a hash of (seed of the request, number of the text)."""
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class Drawing(Protocol):
    """A text that wants its next token."""

    random: torch.Generator
    constraint: Constraint | None

    @property
    def prompt(self) -> Sequence[int]: ...

    @property
    def ids(self) -> Sequence[int]:
        """What was drawn so far."""
        ...

    @property
    def sampling(self) -> Sampling: ...


def draw(logits_RV: Tensor, texts: Sequence[Drawing]) -> list[int]:
    """The next token of every text from its row; the logits stay as they are.

    Raises:
        ValueError: a constraint allows no token, or a logit is not a number.
    """
    changed = [row for row, text in enumerate(texts) if text.constraint is not None or text.sampling.changes_logits]
    if not changed:
        return _draw(logits_RV, texts)
    # What is changed is a copy: the model's own log-probabilities are asked of these rows too.
    own_RV = logits_RV[changed].float()
    for row, logits_V in zip(changed, own_RV, strict=True):
        adjust(logits_V, texts[row])
    others = sorted({*range(len(texts))} - {*changed})
    drawn = dict(zip(changed, _draw(own_RV, [texts[row] for row in changed]), strict=True))
    if others:
        drawn |= zip(others, _draw(logits_RV[others], [texts[row] for row in others]), strict=True)
    return [drawn[row] for row in range(len(texts))]


def _draw(logits_RV: Tensor, texts: Sequence[Drawing]) -> list[int]:
    ids: list[int] = logits_RV.argmax(-1).tolist()
    rows = [row for row, text in enumerate(texts) if text.sampling.temperature > 0]
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        here = rows[begin : begin + ROWS_AT_ONCE]
        points = torch.cat([torch.rand(1, generator=texts[row].random, dtype=torch.float64) for row in here])
        drawn = sample(logits_RV[here], [texts[row].sampling for row in here], points)
        for row, id in zip(here, drawn, strict=True):
            ids[row] = id
    return ids


def adjust(logits_V: Tensor, text: Drawing) -> None:
    """Change a row of logits in place by what a text's request and history say.

    The repetition penalty (Keskar et al. 2019, arXiv:1909.05858) divides positive and multiplies negative logits of
    every token seen, the prompt's too; presence and frequency penalties count what was drawn (OpenAI's definition).

    Raises:
        ValueError: no token is allowed.
    """
    sampling = text.sampling
    device = logits_V.device
    if sampling.logit_bias:
        ids, biases = zip(*sampling.logit_bias, strict=True)
        logits_V.index_add_(0, torch.tensor(ids, device=device), torch.tensor(biases, device=device))
    if sampling.repetition_penalty != 1:
        seen = torch.tensor(sorted({*text.prompt, *text.ids}), device=device)
        values = logits_V[seen]
        penalty = sampling.repetition_penalty
        logits_V[seen] = torch.where(values > 0, values / penalty, values * penalty)
    if text.ids and (sampling.presence_penalty or sampling.frequency_penalty):
        drawn = Counter(text.ids)
        counts = torch.tensor(list(drawn.values()), device=device)
        lowered = sampling.presence_penalty + sampling.frequency_penalty * counts
        logits_V.index_add_(0, torch.tensor(list(drawn), device=device), -lowered)
    if text.constraint is not None:
        allowed_V = text.constraint.allowed(logits_V.numel()).to(device)
        if not bool(allowed_V.any()):
            raise ValueError("the constraint on a text allows no further token")
        logits_V.masked_fill_(~allowed_V, -torch.inf)


def sample(logits_RV: Tensor, samplings: Sequence[Sampling], points: Tensor) -> list[int]:
    """The ids at `points` in [0, 1) of what each row's tokens cumulate to; every temperature is above 0."""
    temperatures = torch.tensor([sampling.temperature for sampling in samplings], device=logits_RV.device)
    probabilities_RV = (logits_RV.float() / temperatures[:, None]).softmax(-1)
    drawn = [0] * len(samplings)
    cut: list[int] = []
    whole: list[int] = []
    for row, sampling in enumerate(samplings):
        (cut if sampling.cuts else whole).append(row)
    if whole:
        for row, id in zip(whole, _at(probabilities_RV[whole], points[whole]).tolist(), strict=True):
            drawn[row] = id
    most = min(LIKELIEST, logits_RV.shape[1])
    while cut:
        weights_RK, ids_RK = ranked(probabilities_RV[cut], [samplings[row] for row in cut], most)
        ids = ids_RK.gather(1, _at(weights_RK, points[cut])[:, None])[:, 0].tolist()
        on = weights_RK[:, -1].tolist()
        for row, id in zip(cut, ids, strict=True):
            drawn[row] = id
        # Of some rows, tokens behind the likeliest may be kept too.
        cut = [
            row
            for row, weight in zip(cut, on, strict=True)
            if weight > 0 and most < logits_RV.shape[1] and samplings[row].top_k != most
        ]
        most = logits_RV.shape[1]
    return drawn


def ranked(probabilities_RV: Tensor, samplings: Sequence[Sampling], most: int) -> tuple[Tensor, Tensor]:
    """The `most` likeliest probabilities in falling order, zero where they are cut, and their ids, [R, K].

    Top-k keeps the k likeliest; top-p the fewest that reach p of what is left (Holtzman et al. 2019, arXiv:1904.09751);
    min-p those of at least p times the likeliest (Nguyen et al. 2024, arXiv:2407.01082).
    """
    device, count = probabilities_RV.device, probabilities_RV.shape[1]
    if most < count:
        ranked_RK, ids_RK = probabilities_RV.topk(most)
    else:
        ranked_RK, ids_RK = probabilities_RV.sort(descending=True, stable=True)
    top_k = torch.tensor([sampling.top_k or count for sampling in samplings], device=device)
    top_p = torch.tensor([sampling.top_p for sampling in samplings], dtype=torch.float64, device=device)
    min_p = torch.tensor([sampling.min_p for sampling in samplings], device=device)
    kept_RK = torch.arange(ranked_RK.shape[1], device=device) < top_k[:, None]
    weights_RK = ranked_RK.double() * kept_RK
    cumulated_RK = weights_RK.cumsum(-1)
    mass_R1 = torch.where(top_k[:, None] < count, cumulated_RK[:, -1:], 1.0)
    # At 1 nothing is cut, however the sum is rounded.
    kept_RK &= (cumulated_RK - weights_RK < top_p[:, None] * mass_R1) | (top_p[:, None] >= 1)
    kept_RK &= ranked_RK >= min_p[:, None] * ranked_RK[:, :1]
    return ranked_RK * kept_RK, ids_RK


def _at(weights_RK: Tensor, points: Tensor) -> Tensor:
    """The column of each row in which its share `points` of the cumulated weights falls; never one of weight 0."""
    cumulated_RK = weights_RK.double().cumsum(-1)
    totals_R1 = cumulated_RK[:, -1:].contiguous()
    found_R1 = torch.searchsorted(cumulated_RK, points.to(totals_R1.device)[:, None] * totals_R1, right=True)
    last_R1 = torch.searchsorted(cumulated_RK, totals_R1)
    return torch.minimum(found_R1, last_R1)[:, 0]


def log_probabilities(logits_RV: Tensor, ids: Sequence[int], most: int) -> list[tuple[float, Likeliest]]:
    """Of each row under the model alone: the log-probability of its id, and the `most` likeliest ids with theirs."""
    values_RV = logits_RV.float().log_softmax(-1)
    own = values_RV.gather(1, torch.tensor(ids, device=values_RV.device)[:, None])[:, 0].tolist()
    best_RK, ids_RK = values_RV.topk(min(most, values_RV.shape[1]))
    return [
        (value, tuple(zip(likeliest, best, strict=True)))
        for value, likeliest, best in zip(own, ids_RK.tolist(), best_RK.tolist(), strict=True)
    ]
