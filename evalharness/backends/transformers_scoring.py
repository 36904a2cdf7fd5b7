"""Log-likelihoods from a model of the library `transformers`: requests as rows, rows as batches.

Letters in names: K positions that are kept, V the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from evalharness.backends.transformers_model import LoadedModel
from evalharness.types import Likelihood, Ticket

SOFTMAX_BYTES = 32 << 20
"""Log-softmax takes this many bytes of logits at a time."""
_SHORT, _LONG = 12, 24
_TOLERANCE, _TOLERANCE_OF_HALF = 1e-4, 0.1
"""Mean difference of a log-likelihood that other shapes of a product bring at most; padding that is not masked brings
more."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one ticket asks of a row."""

    ticket: Ticket
    start: int
    """Position of the first scored token in what is fed, and `last` behind it."""
    last: int


@dataclass(slots=True, eq=False)
class ScoreRow:
    """A sequence that the model is fed once, for all tickets that ask about it; see `batch_size.Row`."""

    encoder: tuple[int, ...]
    """What the encoder reads; empty for a model without one."""
    fed: tuple[int, ...]
    asked: list[Asked]
    keeps: bool = True
    """Whether the model computes the logits of some positions only."""
    begun: bool = False

    @property
    def first(self) -> int:
        """Position of the first token that anybody asks about."""
        return min(asked.start for asked in self.asked)

    @property
    def scored(self) -> int:
        """Positions whose logits are asked for: each says the next token."""
        return len(self.fed) + 1 - self.first

    @property
    def kept(self) -> int:
        return self.scored if self.keeps else len(self.fed)

    @property
    def tokens(self) -> int:
        return len(self.encoder) + len(self.fed)

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.encoder), len(self.fed)

    @property
    def wanted(self) -> bool:
        return any(not asked.ticket.cancelled for asked in self.asked)

    def begin(self) -> None:
        if not self.begun:
            self.begun = True
            for asked in self.asked:
                asked.ticket.begin()

    def fail(self, error: Exception) -> None:
        for asked in self.asked:
            asked.ticket.fail(error)


def rows_of(asked: Iterable[tuple[Ticket, tuple[int, ...], int]], model: LoadedModel) -> list[ScoreRow]:
    """Tickets, their ids and the position of the first scored one, as rows.

    Tickets that feed the same tokens share a row: choices of one token each are told apart by the last token, which
    is never fed. An encoder reads what stands before the first scored token, the decoder says the rest.
    """
    rows: dict[tuple[tuple[int, ...], tuple[int, ...]], ScoreRow] = {}
    for ticket, ids, start in asked:
        encoder: tuple[int, ...] = ()
        if model.encoder_decoder:
            encoder, ids, start = (*ids[:start], *model.encoder_end), model.decoder_ids(ids[start:]), 1
        fed = ids[:-1]
        row = rows.setdefault((encoder, fed), ScoreRow(encoder, fed, [], model.keeps))
        row.asked.append(Asked(ticket, start, ids[-1]))
    return list(rows.values())


def score(model: LoadedModel, rows: Sequence[ScoreRow]) -> None:
    """Compute rows together and answer their tickets."""
    for row, answers in zip(rows, list(_likelihoods(model, rows)), strict=True):
        for asked, likelihood in zip(row.asked, answers, strict=True):
            if not asked.ticket.cancelled:
                asked.ticket.resolve(likelihood)


def pads_freely(model: LoadedModel) -> bool:
    """Whether a row says the same alone and beside a longer one.

    Most models mask padding; some count positions from the left whatever is masked, or carry a state through it. A
    prompt that an adapter has learned stands before the padding: what is scored behind it is right, but `peft` 0.21
    generates other texts.
    """
    if model.learned_prompt:
        return False
    ids = [id % model.vocab_size for id in range(7, 7 + _LONG)]
    rows = []
    for length in (_SHORT, _LONG):
        encoder = tuple(ids[:length]) if model.encoder_decoder else ()
        fed = model.decoder_ids(ids[:length]) if model.encoder_decoder else tuple(ids[:length])
        rows.append(ScoreRow(encoder, fed, [Asked(_Nobody(), 1, ids[0])], model.keeps))
    ((alone,),) = _likelihoods(model, rows[:1])
    ((beside,), _) = _likelihoods(model, rows)
    pairs = list(zip(alone.log_likelihoods, beside.log_likelihoods, strict=True))
    difference = sum(abs(one - other) for one, other in pairs) / len(pairs)
    return difference <= (_TOLERANCE_OF_HALF if model.half else _TOLERANCE)


class _Nobody:
    """Waits for a row of our own."""

    request: Any = None
    cancelled = False

    def begin(self) -> None: ...

    def resolve(self, result: object) -> None: ...

    def fail(self, error: Exception) -> None: ...


def _likelihoods(model: LoadedModel, rows: Sequence[ScoreRow]) -> Iterable[list[Likelihood]]:
    """Of each row the answers to those who ask, in fp32."""
    found = model.logits([row.encoder for row in rows], [row.fed for row in rows], [row.scored for row in rows])
    for row, logits_KV in zip(rows, found, strict=True):
        values, best, last_V = _read(logits_KV, row.fed[row.first :])
        lasts = last_V[[asked.last for asked in row.asked]].tolist()
        yield [
            Likelihood(
                (*values[asked.start - row.first :], value),
                tuple(
                    likeliest == id
                    for likeliest, id in zip(
                        best[asked.start - row.first :], (*row.fed[asked.start :], asked.last), strict=True
                    )
                ),
            )
            for asked, value in zip(row.asked, lasts, strict=True)
        ]


def _read(logits_KV: Tensor, following: Sequence[int]) -> tuple[list[float], list[int], Tensor]:
    """Log-likelihoods of the tokens that follow all positions but the last one, the likeliest token at each position,
    and all log-likelihoods at the last one."""
    step = max(1, SOFTMAX_BYTES // (4 * logits_KV.shape[1]))
    values: list[float] = []
    best: list[int] = []
    for begin in range(0, len(logits_KV), step):
        part_KV = logits_KV[begin : begin + step].float()
        best += part_KV.argmax(-1).tolist()
        part_KV = part_KV.log_softmax(-1)
        said = torch.tensor(following[begin : begin + step], dtype=torch.long, device=part_KV.device)
        values += part_KV[: len(said)].gather(1, said[:, None])[:, 0].tolist()
    return values, best, part_KV[-1]
