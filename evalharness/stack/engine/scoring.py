"""Scoring jobs, and the projection on the vocabulary only where a token is scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from evalharness.stack.engine.requests import ScoreJob, Scores
from evalharness.stack.engine.tree import Node
from evalharness.stack.kernels.linear_scoring import linear_scoring
from evalharness.stack.kernels.linear_scoring.heads import Layer
from evalharness.stack.kernels.tiles import GRAIN
from evalharness.stack.layers.lora import effective_weight


class Projecting(Protocol):
    """A model, as far as the scores of tokens need it."""

    @property
    def head(self) -> nn.Module:
        """The vocabulary projection: a linear layer, or one whose weights lie otherwise."""
        ...

    def outputs(self, hidden_RW: Tensor) -> Tensor:
        """What the vocabulary projection is multiplied by."""
        ...


class RunningScore:
    """A scoring job in service."""

    def __init__(self, job: ScoreJob) -> None:
        self.job = job
        self.end: Node | None = None
        self.dead = False
        count = len(job.ids) - job.start
        self.missing = count
        self._scores = [0.0] * count
        self._greedy = [False] * count
        self._begun = False

    def begin(self) -> None:
        if not self._begun:
            self._begun = True
            self.job.listener.begin()

    def keep(self, index: int, score: float, greedy: bool) -> None:
        self._scores[index] = score
        self._greedy[index] = greedy
        self.missing -= 1

    def answer(self) -> None:
        self.begin()
        self.job.listener.done(Scores(tuple(self._scores), tuple(self._greedy)))


def score_rows(
    model: Projecting, hidden_RW: Tensor, rows: Sequence[int], targets: Sequence[int], exact: bool = False
) -> tuple[list[float], list[bool]]:
    """Log-likelihood ``logit[target] - logsumexp(logits)`` of each (row, target), and whether it is the likeliest.

    In `exact` every product has a multiple of 8 rows, so that no score depends on how many there are.
    """
    if exact and hidden_RW.shape[0] % GRAIN:
        hidden_RW = torch.cat([hidden_RW, hidden_RW.new_zeros(-hidden_RW.shape[0] % GRAIN, hidden_RW.shape[1])])
    found: Counter[int] = Counter()
    places = []
    for row in rows:
        places.append(found[row])
        found[row] += 1
    most = max(found.values(), default=0)
    at_P = torch.tensor(rows, dtype=torch.long) * most + torch.tensor(places, dtype=torch.long)
    # Rows that want fewer targets than others get token 0 in addition, and nobody reads its score.
    targets_RK = torch.zeros(hidden_RW.shape[0], most, dtype=torch.long)
    targets_RK.view(-1)[at_P] = torch.tensor(targets, dtype=torch.long)
    head = effective_weight(model.head) if isinstance(model.head, nn.Linear) else cast(Layer, model.head)
    scored = linear_scoring(model.outputs(hidden_RW), head, targets_RK.to(hidden_RW.device), exact=exact)
    log_likelihoods, greedy = scored.log_likelihoods_RK.view(-1).cpu(), scored.greedy_RK.view(-1).cpu()
    return log_likelihoods[at_P].tolist(), greedy[at_P].tolist()
