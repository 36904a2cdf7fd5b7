"""Scoring jobs that share one pass, and the projection on the vocabulary only where a token is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.engine.requests import ScoreJob, Scores

LOGITS_AT_ONCE = 1 << 24
"""Numbers of one chunk of logits: 64 MiB of fp32, so that a window of 8,192 tokens needs no more than one of 341."""


@dataclass(slots=True, eq=False)
class ScoreGroup:
    """Jobs that feed the same tokens: the last id of a sequence is scored but never fed.

    The four letters of a multiple-choice question are one group, so they cost one pass.
    """

    fed: tuple[int, ...]
    jobs: list[ScoreJob] = field(default_factory=list)

    @property
    def first(self) -> int:
        """First row of the pass that a job reads: row i predicts token i + 1."""
        return min(job.start for job in self.jobs) - 1

    @property
    def rows(self) -> int:
        """Rows that are projected on the vocabulary."""
        return len(self.fed) - self.first

    def deliver(self, model: Decoder, hidden_TW: Tensor) -> None:
        """Score every job from the hidden states of the fed tokens."""
        rows: list[int] = []
        targets: list[int] = []
        for job in self.jobs:
            rows += range(job.start - 1 - self.first, self.rows)
            targets += job.ids[job.start :]
        scores, greedy = score_rows(model, hidden_TW[self.first :], rows, targets)
        begin = 0
        for job in self.jobs:
            end = begin + len(job.ids) - job.start
            job.listener.done(Scores(tuple(scores[begin:end]), tuple(greedy[begin:end])))
            begin = end


def score_rows(
    model: Decoder, hidden_RW: Tensor, rows: Sequence[int], targets: Sequence[int]
) -> tuple[list[float], list[bool]]:
    """Log-likelihood ``logit[target] - logsumexp(logits)`` of each (row, target), and whether it is the likeliest."""
    rows_P = torch.tensor(rows, device=hidden_RW.device)
    targets_P = torch.tensor(targets, device=hidden_RW.device)
    scores_P = torch.empty(len(rows), dtype=torch.float32, device=hidden_RW.device)
    greedy_P = torch.empty(len(rows), dtype=torch.bool, device=hidden_RW.device)
    at_once = max(1, LOGITS_AT_ONCE // model.config.vocab_size)
    for begin in range(0, hidden_RW.shape[0], at_once):
        logits_CV = model.logits(hidden_RW[begin : begin + at_once])
        here = ((rows_P >= begin) & (rows_P < begin + at_once)).nonzero()[:, 0]
        chunk_rows, chunk_targets = rows_P[here] - begin, targets_P[here]
        scores_P[here] = logits_CV[chunk_rows, chunk_targets] - logits_CV.logsumexp(-1)[chunk_rows]
        greedy_P[here] = logits_CV.argmax(-1)[chunk_rows] == chunk_targets
    return scores_P.tolist(), greedy_P.tolist()
