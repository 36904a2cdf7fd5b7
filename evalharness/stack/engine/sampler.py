"""Draws the next token from logits.

Logits are changed in this order: bias, repetition penalty, presence and frequency penalty, what a constraint allows;
then ``softmax(logits / temperature)`` is cut by top-k, top-p and min-p (`kernels.sampling`). A draw takes one uniform
number from the text's own generator and reads it off the cumulated probabilities: it depends on that text's logits,
history and seed, never on what else is in the batch.

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
from evalharness.stack.kernels.op import in_exact
from evalharness.stack.kernels.sampling import sample


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
    samplings = [text.sampling for text in texts]
    if all(sampling.temperature == 0 for sampling in samplings):
        likeliest: list[int] = logits_RV.argmax(-1).tolist()
        return likeliest
    points = [
        torch.rand((), generator=text.random, dtype=torch.float64).item() if text.sampling.temperature > 0 else 0.0
        for text in texts
    ]

    def of_rows(values: Sequence[float], dtype: torch.dtype) -> Tensor:
        return torch.tensor(values, dtype=dtype).to(logits_RV.device)

    drawn: list[int] = sample(
        logits_RV,
        of_rows(points, torch.float64),
        of_rows([sampling.temperature for sampling in samplings], torch.float32),
        of_rows([min(sampling.top_k, logits_RV.shape[1]) for sampling in samplings], torch.int32),
        of_rows([sampling.top_p for sampling in samplings], torch.float64),
        of_rows([sampling.min_p for sampling in samplings], torch.float32),
    ).tolist()
    return drawn


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


def log_probabilities(logits_RV: Tensor, ids: Sequence[int], most: int) -> list[tuple[float, Likeliest]]:
    """Of each row under the model alone: the log-probability of its id, and the `most` likeliest ids with theirs."""
    if len(ids) > 1 and in_exact() and logits_RV.device.type != "cpu":
        # A GPU's sums and sorting follow the number of rows, and where they lie.
        rows = zip(logits_RV, ids, strict=True)
        return [found for logits_V, id in rows for found in log_probabilities(logits_V[None].clone(), [id], most)]
    values_RV = logits_RV.float().log_softmax(-1)
    own = values_RV.gather(1, torch.tensor(ids, device=values_RV.device)[:, None])[:, 0].tolist()
    best_RK, ids_RK = values_RV.topk(min(most, values_RV.shape[1]))
    return [
        (value, tuple(zip(likeliest, best, strict=True)))
        for value, likeliest, best in zip(own, ids_RK.tolist(), best_RK.tolist(), strict=True)
    ]
