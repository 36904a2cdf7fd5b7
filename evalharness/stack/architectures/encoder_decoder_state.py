"""What an encoder-decoder keeps of a prompt and of a text that grows behind it.

Letters in names: L layers of the decoder, 2 for keys and values, H heads, S tokens of the prompt, C tokens that there
is room for, T tokens, R rows of several texts, D size of a head, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from evalharness.stack.layers.relative import attend

ROOM = 32
"""Tokens that a text has room for at first."""


class Said:
    """Keys and values of a text's tokens, with room for more.

    Several states may share one: each knows how many tokens are its own, and only that with the most may go on in
    place; for the others it is copied.
    """

    def __init__(self, numbers_L2HCD: Tensor, filled: int) -> None:
        self.numbers_L2HCD, self._filled = numbers_L2HCD, filled

    @classmethod
    def empty(cls, read_L2HSD: Tensor) -> Said:
        """For a text behind a prompt."""
        layers, two, heads, _, size = read_L2HSD.shape
        return cls(read_L2HSD.new_empty(layers, two, heads, ROOM, size), 0)

    def behind(self, length: int, count: int) -> Said:
        """Where `count` tokens may be written behind the first `length`, which stay."""
        if self._filled != length or length + count > self.numbers_L2HCD.shape[3]:
            return self.copied(length, max(count, length, ROOM), filled=length + count)
        self._filled += count
        return self

    def copied(self, length: int, room: int, filled: int | None = None) -> Said:
        """The first `length` tokens, and room for more, which nobody shares."""
        layers, two, heads, _, size = self.numbers_L2HCD.shape
        numbers = self.numbers_L2HCD.new_empty(layers, two, heads, length + room, size)
        numbers[:, :, :, :length] = self.numbers_L2HCD[:, :, :, :length]
        return Said(numbers, length + room if filled is None else filled)


@dataclass(frozen=True, slots=True)
class EncoderDecoderState:
    """A prompt that is read, and a text behind it."""

    hidden_W: Tensor
    """What the next token's scores are made of."""
    read: Tensor
    """Keys and values of the prompt for each layer, [L, 2, H, S, D]."""
    said: Said
    length: int
    """Tokens of the text, the decoder's first one included."""


class Rows:
    """The `DecoderContext` of the next tokens of several texts, one text after another.

    Args:
        bias: of the positions from the greatest of `starts` on, [H, most of counts, ...].
        reads: of each text the prompt's keys and values.
        said: where each text's keys and values are, and new ones are written.
        starts: tokens of each text before.
        counts: rows of each text.
    """

    def __init__(
        self, bias: Tensor, reads: Sequence[Tensor], said: Sequence[Said], starts: Sequence[int], counts: Sequence[int]
    ) -> None:
        last = max(starts)
        rows = [slice(begin, end) for begin, end in pairwise(accumulate(counts, initial=0))]
        self._texts = [
            (here, read, kept.numbers_L2HCD, start, bias[:, :count, last - start : last + count])
            for here, read, kept, start, count in zip(rows, reads, said, starts, counts, strict=True)
        ]

    def attend(self, layer: int, queries_RHD: Tensor, keys_RHD: Tensor, values_RHD: Tensor) -> Tensor:
        mixed = []
        for here, _, numbers_L2HCD, start, bias_HTC in self._texts:
            keys_HCD, values_HCD = numbers_L2HCD[layer, :, :, : bias_HTC.shape[-1]]
            keys_HCD[:, start:] = keys_RHD[here].transpose(0, 1)
            values_HCD[:, start:] = values_RHD[here].transpose(0, 1)
            mixed.append(attend(queries_RHD[here].transpose(0, 1), keys_HCD, values_HCD, bias_HTC).transpose(0, 1))
        return torch.cat(mixed)

    def attend_prompt(self, layer: int, queries_RHD: Tensor) -> Tensor:
        return torch.cat(
            [attend(queries_RHD[here].transpose(0, 1), *read[layer]).transpose(0, 1) for here, read, *_ in self._texts]
        )
