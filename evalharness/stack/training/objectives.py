"""Objectives: what of packed sequences a model reads, what it is to say, and what of that is learned.

Letters in names: B sequences, S tokens of a packed sequence, T = S - 1 inputs and targets, D documents of a sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from evalharness.stack.corpus.options import Section
from evalharness.stack.corpus.packing import PADDING, Packed
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.examples import Example

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")


class AnyBatch(Protocol):
    """What a training asks of a batch; its model knows the rest."""

    @property
    def weight(self) -> Tensor:
        """What the sum of its losses is divided by for their mean: a scalar."""
        ...

    def to(self, device: torch.device) -> Self: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """What one pass through a model takes."""

    inputs_BT: Tensor
    """int64."""
    targets_BT: Tensor
    """int64."""
    weights_BT: Tensor
    """fp32, of each target in the loss; 0 is not learned."""
    positions: Tensor
    """int64: [T], or [B, T] where several documents of a sequence are told apart; each then begins at 0."""
    documents_BT: Tensor | None
    """int32: a token sees only tokens of the same document; None where causal attention alone hides all that is to be
    hidden."""
    prefix_BT: Tensor | None
    """bool: the marked tokens of a document see each other in both directions; None where there are none."""

    @property
    def weight(self) -> Tensor:
        """Of all targets together."""
        return self.weights_BT.sum()

    def to(self, device: torch.device) -> Self:
        return moved(self, device)


def moved(batch: T, device: torch.device) -> T:
    """A dataclass of tensors, and of None, with all of them on a device."""
    parts = {field.name: getattr(batch, field.name) for field in fields(batch)}  # type: ignore[arg-type]
    return type(batch)(**{name: None if part is None else part.to(device) for name, part in parts.items()})


class ObjectiveOptions(Section):
    """What is learned of a text.

    `lm` is language modelling: each token by those before it. `prefix_lm` cuts a document into a prefix, which is
    given, and the rest, which is learned (Raffel et al. 2020, arXiv 1910.10683, section 3.2).
    """

    name: Literal["lm", "prefix_lm"] = "lm"
    split: Literal["random", "marker"] = "random"
    """Where a prefix ends: anywhere in its document, so that both parts have a token; or behind the first marker. Of a
    document, or of its part in this sequence, that holds no marker all is prefix."""
    marker: str | None = Field(default=None, min_length=1)
    """The text that ends a prefix; its token ids must stand in documents as they are for the text by itself."""
    attention: Literal["bidirectional", "causal"] = "bidirectional"
    """What a token of a prefix sees: all of the prefix, or what is before."""
    prefix_weight: float = Field(default=0, ge=0, le=1)
    """Weight of the prefix's own tokens in the loss; 0 with bidirectional attention, where each sees the next one."""

    @model_validator(mode="after")
    def _consistent(self) -> ObjectiveOptions:
        if self.name == "lm":
            if (self.split, self.marker, self.attention, self.prefix_weight) != ("random", None, "bidirectional", 0):
                raise ValueError("split, marker, attention and prefix_weight belong to the objective prefix_lm.")
        elif (self.split == "marker") != (self.marker is not None):
            raise ValueError("the split 'marker' needs a marker, and the split 'random' takes none.")
        elif self.prefix_weight and self.attention == "bidirectional":
            raise ValueError("prefix_weight must be 0 with bidirectional attention: a prefix would see what it learns.")
        return self


def decoder_batch(
    tokens_BS: NDArray[np.int64],
    documents_BS: NDArray[np.int32],
    prefix_BS: NDArray[np.bool_] | None = None,
    *,
    bidirectional: bool = False,
    prefix_weight: float = 0,
) -> Batch:
    """The batch in which a decoder learns each token of its document by those before it.

    Args:
        documents_BS: the document of each token, `PADDING` behind the last.
        prefix_BS: tokens that are given.
        bidirectional: whether these see each other in both directions.
        prefix_weight: of these in the loss.
    """
    import torch

    # The first token of a document cannot be told from another one.
    inside_BT = (documents_BS[:, 1:] == documents_BS[:, :-1]) & (documents_BS[:, 1:] != PADDING)
    weights_BT = inside_BT.astype(np.float32)
    if prefix_BS is not None:
        weights_BT[prefix_BS[:, 1:]] *= prefix_weight
    documents_BT, positions = documents_BS[:, :-1].copy(), np.arange(tokens_BS.shape[1] - 1)
    # A document is not seen by the padding behind it in any way that counts.
    several = bool(((documents_BT != documents_BT[:, :1]) & (documents_BT != PADDING)).any())
    if several:
        positions = positions_within(documents_BT)
    return Batch(
        inputs_BT=torch.from_numpy(tokens_BS[:, :-1].copy()),
        targets_BT=torch.from_numpy(tokens_BS[:, 1:].copy()),
        weights_BT=torch.from_numpy(weights_BT),
        positions=torch.from_numpy(positions),
        documents_BT=torch.from_numpy(documents_BT) if several else None,
        prefix_BT=torch.from_numpy(prefix_BS[:, :-1].copy()) if prefix_BS is not None and bidirectional else None,
    )


def positions_within(documents_BT: NDArray[np.int32]) -> NDArray[np.int64]:
    """Of each token in its document, from 0 on."""
    begins_BT = np.diff(documents_BT, axis=1, prepend=documents_BT[:, :1] - 1) != 0
    positions_BT = np.broadcast_to(np.arange(documents_BT.shape[1]), documents_BT.shape)
    return positions_BT - np.maximum.accumulate(np.where(begins_BT, positions_BT, 0), axis=1)


class Objective:
    """Makes batches of packed sequences for decoders.

    Args:
        seed: of random splits.
        marker_ids: the token ids of `options.marker`, where there is one.

    Raises:
        TrainingError: a marker has no ids.
    """

    def __init__(self, options: ObjectiveOptions, seed: int = 0, marker_ids: Sequence[int] = ()) -> None:
        if options.marker and not len(marker_ids):
            raise TrainingError(
                f"objective: the tokenizer makes no token of the marker {options.marker!r}; take another."
            )
        self.options = options
        self.marker, self.marker_ids = options.marker, tuple(marker_ids) if options.marker else ()
        self._seed = seed

    def batch(self, sequences: Sequence[Packed], places: Sequence[int]) -> Batch:
        """The batch of these sequences of one length; `places` are their positions in the training, which decide random
        splits."""
        tokens_BS = np.stack([sequence.tokens_T for sequence in sequences]).astype(np.int64)
        documents_BS = np.stack([sequence.documents_T for sequence in sequences])
        options = self.options
        if options.name == "lm":
            return decoder_batch(tokens_BS, documents_BS)
        prefix_BS = np.stack(list(map(self._prefix, tokens_BS, documents_BS, places)))
        return decoder_batch(
            tokens_BS,
            documents_BS,
            prefix_BS,
            bidirectional=options.attention == "bidirectional",
            prefix_weight=options.prefix_weight,
        )

    def packed_tokens(self, context: int) -> int:
        """Tokens of the sequences that a decoder with this context learns from: targets are one further on."""
        return context + 1

    def packed_tokens_apart(self, context: int) -> int:
        """The same for an encoder-decoder, each of whose sides has this context: a prefix may be all of a document."""
        return context

    def sides(self, tokens: int) -> tuple[int, int]:
        """What is given and what is to be said of so many tokens in the mean, as far as that is known: a random prefix
        is half of a document, and where markers stand nobody knows."""
        return tokens - tokens // 2, tokens // 2

    def examples(self, packed: Packed, place: int) -> list[Example]:
        """Of each document the prefix, and the rest."""
        tokens_S, documents_S = packed.tokens_T.astype(np.int64), packed.documents_T
        prefix_S = self._prefix(tokens_S, documents_S, place)
        documents = [documents_S == number for number in np.unique(documents_S[documents_S != PADDING])]
        return [Example(tokens_S[of_S & prefix_S], tokens_S[of_S & ~prefix_S]) for of_S in documents]

    def _prefix(self, tokens_S: NDArray[np.int64], documents_S: NDArray[np.int32], place: int) -> NDArray[np.bool_]:
        """Which tokens belong to the prefix of their document."""
        cuts = np.flatnonzero(np.diff(documents_S)) + 1
        starts_D, ends_D = np.concatenate([[0], cuts]), np.concatenate([cuts, [len(documents_S)]])
        if self.options.split == "random":
            key = np.array([self._seed, place], dtype=np.uint64)
            uniform_D = np.random.Generator(np.random.Philox(key=key)).random(len(starts_D))
            after_D = starts_D + 1 + (uniform_D * (ends_D - starts_D - 1)).astype(np.int64)
        else:
            found = find_ids(tokens_S, self.marker_ids)
            # Where the next marker is another document's, this one is all prefix.
            after_D = np.append(found, len(tokens_S))[np.searchsorted(found, starts_D)] + len(self.marker_ids)
        after_D[documents_S[starts_D] == PADDING] = 0
        marked: NDArray[np.bool_] = np.arange(len(documents_S)) < np.repeat(after_D, ends_D - starts_D)
        return marked


def find_ids(tokens_N: NDArray[Any], ids: Sequence[int]) -> NDArray[np.int64]:
    """Every position at which these ids stand in a row."""
    found = np.arange(max(len(tokens_N) - len(ids) + 1, 0))
    for offset, id in enumerate(ids):
        found = found[tokens_N[found + offset] == id]
    return found
