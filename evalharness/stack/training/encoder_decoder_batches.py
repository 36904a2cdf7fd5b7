"""Batches of encoder-decoders: what of each document the encoder reads, and what the decoder is to say.

Letters in names: B sequences, S tokens that the encoder reads, T that the decoder says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from evalharness.stack.corpus.packing import PADDING, Packed
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.denoisers import Denoising
from evalharness.stack.training.objectives import Objective, ObjectiveOptions, moved

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class EncoderDecoderBatch:
    """What one pass through an encoder-decoder takes. A token sees only tokens of the same document, also across the
    two sides; `PADDING` is none."""

    read_BS: Tensor
    """int64: what the encoder reads."""
    read_documents_BS: Tensor
    """int32."""
    inputs_BT: Tensor
    """int64: what the decoder is fed: for each document the token that begins a text, then all targets but the last."""
    targets_BT: Tensor
    """int64."""
    weights_BT: Tensor
    """fp32, of each target in the loss; 0 is padding."""
    documents_BT: Tensor
    """int32: of the targets."""

    @property
    def weight(self) -> Tensor:
        """Of all targets together."""
        return self.weights_BT.sum()

    def to(self, device: torch.device) -> Self:
        return moved(self, device)


class Apart:
    """An objective for encoder-decoders: makes batches of the examples of another one.

    Args:
        start_id: the token that the decoder is fed first.

    Raises:
        TrainingError: the objective does not tell what is given from what is said, or says what the encoder reads.
    """

    def __init__(self, objective: Objective | Denoising, start_id: int) -> None:
        options = objective.options
        if options.name == "lm":
            raise TrainingError(
                "objective: lm is for decoders; an encoder-decoder learns prefix_lm, span_denoising or ul2."
            )
        if isinstance(options, ObjectiveOptions) and options.prefix_weight:
            raise TrainingError(
                "objective: prefix_weight must be 0 for an encoder-decoder, whose decoder does not say the prefix."
            )
        if options.attention == "causal":
            raise TrainingError(
                "objective: attention is causal, but an encoder sees all that is given; leave it out, or take a "
                "decoder."
            )
        self._objective, self._start_id = objective, start_id
        self.marker, self.marker_ids = objective.marker, objective.marker_ids

    def packed_tokens(self, context: int) -> int:
        """As many tokens as a document may have, so that neither of its parts is longer than the context."""
        return self._objective.packed_tokens_apart(context)

    def sides(self, context: int) -> tuple[int, int]:
        """Tokens of a sequence that the encoder reads and that the decoder says, in the mean."""
        return self._objective.sides(self.packed_tokens(context))

    def batch(self, sequences: Sequence[Packed], places: Sequence[int]) -> EncoderDecoderBatch:
        """The batch of these sequences; `places` are their positions in the training, which decide what is random.
        Rows are as long as the longest one of them."""
        import torch

        rows = [self._objective.examples(*each) for each in zip(sequences, places, strict=True)]
        read_BS, read_documents_BS = _rows([[example.inputs_I for example in row] for row in rows], self._start_id)
        targets_BT, documents_BT = _rows([[example.targets_O for example in row] for row in rows], self._start_id)
        inputs_BT = np.roll(targets_BT, 1, axis=1)
        begins_BT = np.diff(documents_BT, axis=1, prepend=PADDING) != 0
        inputs_BT[begins_BT] = self._start_id
        weights_BT = (documents_BT != PADDING).astype(np.float32)
        parts = (read_BS, read_documents_BS, inputs_BT, targets_BT, weights_BT, documents_BT)
        return EncoderDecoderBatch(*map(torch.from_numpy, parts))


def _rows(parts: Sequence[Sequence[NDArray[np.int64]]], filler: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Each sequence's parts one after another, filled up to the longest sequence and to one token at least; and the
    number of each token's part."""
    longest = max(1, *(sum(map(len, row)) for row in parts))
    tokens = np.full((len(parts), longest), filler, np.int64)
    documents = np.full((len(parts), longest), PADDING, np.int32)
    for number, row in enumerate(parts):
        sizes = list(map(len, row))
        tokens[number, : sum(sizes)] = np.concatenate(row) if row else ()
        documents[number, : sum(sizes)] = np.repeat(np.arange(len(row)), sizes)
    return tokens, documents
