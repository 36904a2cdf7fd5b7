"""What the plain loop needs of a model that the engine does not serve.

Letters in names: N tokens that follow each other, R rows, W width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from evalharness.stack.config import AnyConfig


class State(Protocol):
    """What a model keeps of the tokens that it has read. Several texts may go on from one: it stays as it is."""

    @property
    def hidden_W(self) -> Tensor:
        """Hidden state of the last token: what `PlainModel.logits` makes the scores of the next one of."""
        ...


S = TypeVar("S", bound=State)


class PlainModel(Protocol[S]):
    """A model that reads a prompt and says what follows, with a state of a kind of its own."""

    @property
    def config(self) -> AnyConfig: ...

    @property
    def head(self) -> nn.Module:
        """The vocabulary projection: a linear layer, or one whose weights lie otherwise."""
        ...

    @property
    def device(self) -> torch.device: ...

    @property
    def speaks_apart(self) -> bool:
        """Whether prompt and text are two sequences, each with the model's greatest length: an encoder-decoder reads
        the prompt by its encoder, and its decoder begins the text with a token of its own. Else they are one."""
        ...

    def pack(self) -> None:
        """Lay the weights out for inference, where that gains anything."""
        ...

    def begin(self, prompt: Sequence[int]) -> S:
        """The state behind a prompt of at least one token, ready for the first token of the text."""
        ...

    def step(self, states: Sequence[S], tokens: Sequence[int]) -> list[S]:
        """Of each state, which may be of different lengths, the one behind one token more."""
        ...

    def follow(self, states: Sequence[S], continuations: Sequence[Sequence[int]]) -> list[Tensor]:
        """Of each state the hidden states at all tokens of a continuation behind it, at least one: shape [N, W]."""
        ...

    def outputs(self, hidden_RW: Tensor) -> Tensor:
        """What the vocabulary projection is multiplied by, for hidden states of states and of `follow`."""
        ...

    def logits(self, hidden_RW: Tensor) -> Tensor:
        """Scores of the next token in fp32, of shape [R, V], for hidden states of states and of `follow`."""
        ...
