"""Scoring jobs, and the projection on the vocabulary only where a token is scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from evalharness.stack.config import AnyConfig
from evalharness.stack.engine.cache import GRAIN
from evalharness.stack.engine.requests import ScoreJob, Scores
from evalharness.stack.engine.tree import Node

LOGITS_AT_ONCE = 1 << 22
"""Numbers of one chunk of logits: 16 MiB of fp32 stay in a processor's cache, and a window of 8,192 tokens needs no
more memory than one of 80."""


class Projecting(Protocol):
    """A model, as far as the scores of tokens need it."""

    @property
    def config(self) -> AnyConfig: ...

    def logits(self, hidden_RW: Tensor) -> Tensor: ...


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
    rows_P = torch.tensor(rows, device=hidden_RW.device)
    targets_P = torch.tensor(targets, device=hidden_RW.device)
    scores_P = torch.empty(len(rows), dtype=torch.float32, device=hidden_RW.device)
    greedy_P = torch.empty(len(rows), dtype=torch.bool, device=hidden_RW.device)
    at_once = max(1, LOGITS_AT_ONCE // model.config.vocab_size // GRAIN) * GRAIN
    for begin in range(0, hidden_RW.shape[0], at_once):
        logits_CV = model.logits(hidden_RW[begin : begin + at_once])
        here = ((rows_P >= begin) & (rows_P < begin + at_once)).nonzero()[:, 0]
        chunk_rows, chunk_targets = rows_P[here] - begin, targets_P[here]
        likeliest_C = logits_CV.argmax(-1)
        greedy_P[here] = likeliest_C[chunk_rows] == chunk_targets
        best_C1 = logits_CV.gather(1, likeliest_C[:, None])
        scores_P[here] = logits_CV[chunk_rows, chunk_targets] - best_C1[chunk_rows, 0]
        # In place: what `logsumexp` makes beside the logits no longer fits the processor's cache.
        scores_P[here] -= logits_CV.sub_(best_C1).exp_().sum(-1).log()[chunk_rows]
    return scores_P.tolist(), greedy_P.tolist()
