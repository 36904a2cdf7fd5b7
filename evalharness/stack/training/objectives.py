"""Objectives: what of packed sequences a model reads, what it is to say, and what of that is learned.

Letters in names: B sequences, S tokens of a packed sequence, T = S - 1 inputs and targets, D documents of a sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from evalharness.stack.corpus.options import Section
from evalharness.stack.corpus.packing import PADDING, Packed
from evalharness.stack.errors import TrainingError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


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

    def to(self, device: torch.device) -> Batch:
        parts = {name: getattr(self, name) for name in Batch.__slots__}
        moved: dict[str, Any] = {name: None if part is None else part.to(device) for name, part in parts.items()}
        return Batch(**moved)


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


class Objective:
    """Makes batches of packed sequences.

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
        self.marker_ids = tuple(marker_ids) if options.marker else ()
        self._seed = seed

    def batch(self, sequences: Sequence[Packed], places: Sequence[int]) -> Batch:
        """The batch of these sequences of one length; `places` are their positions in the training, which decide random
        splits."""
        import torch

        tokens_BS = np.stack([sequence.tokens_T for sequence in sequences]).astype(np.int64)
        documents_BS = np.stack([sequence.documents_T for sequence in sequences])
        # The first token of a document cannot be told from another one.
        inside_BT = (documents_BS[:, 1:] == documents_BS[:, :-1]) & (documents_BS[:, 1:] != PADDING)
        weights_BT, prefix_BT = inside_BT.astype(np.float32), None
        if self.options.name == "prefix_lm":
            prefix_BS = np.stack(list(map(self._prefix, tokens_BS, documents_BS, places)))
            weights_BT[prefix_BS[:, 1:]] *= self.options.prefix_weight
            if self.options.attention == "bidirectional":
                prefix_BT = torch.from_numpy(prefix_BS[:, :-1].copy())
        documents_BT, positions = documents_BS[:, :-1].copy(), np.arange(tokens_BS.shape[1] - 1)
        # A document is not seen by the padding behind it in any way that counts.
        several = bool(((documents_BT != documents_BT[:, :1]) & (documents_BT != PADDING)).any())
        if several:
            begins_BT = np.concatenate([np.ones_like(inside_BT[:, :1]), np.diff(documents_BT) != 0], axis=1)
            positions = positions - np.maximum.accumulate(np.where(begins_BT, positions, 0), axis=1)
        return Batch(
            inputs_BT=torch.from_numpy(tokens_BS[:, :-1].copy()),
            targets_BT=torch.from_numpy(tokens_BS[:, 1:].copy()),
            weights_BT=torch.from_numpy(weights_BT),
            positions=torch.from_numpy(positions),
            documents_BT=torch.from_numpy(documents_BT) if several else None,
            prefix_BT=prefix_BT,
        )

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
