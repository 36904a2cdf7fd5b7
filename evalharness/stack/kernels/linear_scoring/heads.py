"""What makes logits of hidden states. Letters: R rows, C rows of a chunk, W width, V vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.kernels.tiles import GRAIN

LOGITS_AT_ONCE = {"cpu": 1 << 22, "cuda": 1 << 25}
"""Numbers of a chunk of logits: 16 MiB of fp32 stay in a processor's cache, and a window of 8,192 tokens needs no more
memory than one of 80; a GPU wants to be filled."""


class Layer(Protocol):
    """A projection whose weight is not a plain tensor: packed, or of few bits."""

    @property
    def out_features(self) -> int:
        """Size of the vocabulary."""
        ...

    def __call__(self, hidden_CW: Tensor, /) -> Tensor:
        """Logits of rows of fp32, in fp32, [C, V]; a tensor of their own, which the caller may change."""
        ...


Head = Tensor | Layer
"""The weight of a projection, [V, W], or a `Layer`."""


def projection(head: Head, dtype: torch.dtype) -> tuple[Callable[[Tensor], Tensor], int]:
    """What makes logits of rows of `dtype`, and the size of the vocabulary."""
    if not isinstance(head, Tensor):
        return head, head.out_features
    weight_VW = head.to(dtype)
    return (lambda hidden_CW: F.linear(hidden_CW, weight_VW)), len(weight_VW)


def in_chunks(hidden_RW: Tensor, head: Head) -> Iterator[tuple[slice, Tensor]]:
    """The logits of one chunk of rows after the other, in at least fp32, and which rows those are."""
    wide = torch.promote_types(hidden_RW.dtype, torch.float32)
    project, vocabulary = projection(head, wide)
    most = LOGITS_AT_ONCE.get(hidden_RW.device.type, LOGITS_AT_ONCE["cpu"])
    at_once = max(1, most // vocabulary // GRAIN) * GRAIN
    for begin in range(0, len(hidden_RW), at_once):
        at = slice(begin, begin + at_once)
        yield at, project(hidden_RW[at].to(wide))
