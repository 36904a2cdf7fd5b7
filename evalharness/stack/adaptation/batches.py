"""Batches of conversations and of pairs of answers.

Letters in names: B sequences, S tokens of the longest, T = S - 1 inputs and targets, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from evalharness.stack.adaptation.chat import Encoded
from evalharness.stack.corpus.packing import PADDING, best_fit
from evalharness.stack.training.objectives import Batch, decoder_batch

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Together = tuple[Encoded, ...]
"""Conversations of one sequence, none of which sees another."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What was chosen and what was rejected, after the same prompt."""

    chosen: Encoded
    rejected: Encoded

    @property
    def where(self) -> str:
        return self.chosen.where

    @property
    def answers(self) -> tuple[Encoded, Encoded]:
        return self.chosen, self.rejected

    def __len__(self) -> int:
        """Tokens of the longer one."""
        return max(len(self.chosen), len(self.rejected))


class Referenced(NamedTuple):
    """A pair with the log-probabilities of its answers by the reference."""

    pair: Pair
    chosen: float
    rejected: float


@dataclass(frozen=True, slots=True)
class PreferenceBatch:
    """P pairs."""

    sequences: Batch
    """2 P sequences: what was chosen of each pair, then what was rejected."""
    reference_2P: Tensor
    """fp32: log-probabilities of the answers by the reference."""

    @property
    def weight(self) -> Tensor:
        """The number of pairs."""
        return self.reference_2P.new_tensor(len(self.reference_2P) // 2)

    def to(self, device: torch.device) -> PreferenceBatch:
        return PreferenceBatch(self.sequences.to(device), self.reference_2P.to(device))


def packed(conversations: Sequence[Encoded], length: int) -> list[Together]:
    """Sequences of at most `length` tokens, which no conversation is longer than."""
    bins = best_fit([len(each) for each in conversations], length)
    return [tuple(conversations[number] for number, _, _ in parts) for parts in bins]


def chat_batch(sequences: Sequence[Together], places: Sequence[int] = ()) -> Batch:
    """The batch of these sequences, as long as the longest; their `places` in the training decide nothing."""
    shape = len(sequences), max(sum(map(len, together)) for together in sequences)
    tokens_BS, learned_BS = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.bool_)
    documents_BS = np.full(shape, PADDING, dtype=np.int32)
    for row, together in enumerate(sequences):
        begin = 0
        for number, one in enumerate(together):
            at = slice(begin, begin + len(one))
            tokens_BS[row, at], learned_BS[row, at], documents_BS[row, at] = one.ids_S, one.learned_S, number
            begin = at.stop
    return decoder_batch(tokens_BS, documents_BS, ~learned_BS)


def preference_batch(items: Sequence[Referenced], places: Sequence[int] = ()) -> PreferenceBatch:
    """The batch of these pairs."""
    import torch

    answers = [*(item.pair.chosen for item in items), *(item.pair.rejected for item in items)]
    reference = [*(item.chosen for item in items), *(item.rejected for item in items)]
    return PreferenceBatch(chat_batch([(answer,) for answer in answers]), torch.tensor(reference))
