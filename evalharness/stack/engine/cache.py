"""Keys and values of one sequence, and the attention over a line of sequences that lie one after another.

Letters in names: T tokens of a pass, G key and value heads, S tokens kept, D size of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evalharness.stack.config import ModelConfig
from evalharness.stack.layers.attention import causal_attention


class KeyValueCache:
    """Keys and values of one sequence in every layer, with room for `capacity` tokens."""

    def __init__(self, config: ModelConfig, capacity: int, dtype: torch.dtype, device: torch.device) -> None:
        shape = (config.layers, 2, config.kv_heads, capacity, config.head_dim)
        self._kept = torch.empty(shape, dtype=dtype, device=device)
        self.length = 0
        """Tokens whose keys and values are kept."""

    def append(self, layer: int, keys_TGD: Tensor, values_TGD: Tensor) -> tuple[Tensor, Tensor]:
        """Keep those of a pass's tokens; all keys and values of the layer, [G, S, D], the new ones last.

        `length` stays as it is until `advance`, because every layer of a pass writes at the same place.
        """
        end = self.length + keys_TGD.shape[0]
        keys_GSD, values_GSD = self._kept[layer]
        keys_GSD[:, self.length : end] = keys_TGD.transpose(0, 1)
        values_GSD[:, self.length : end] = values_TGD.transpose(0, 1)
        return keys_GSD[:, :end], values_GSD[:, :end]

    def advance(self, count: int) -> None:
        """A pass over `count` tokens is complete."""
        self.length += count

    def fork(self) -> KeyValueCache:
        """A copy that goes its own way."""
        copy = object.__new__(KeyValueCache)
        copy._kept = torch.empty_like(self._kept)
        copy._kept[:, :, :, : self.length] = self._kept[:, :, :, : self.length]
        copy.length = self.length
        return copy


def bytes_per_token(config: ModelConfig, dtype: torch.dtype) -> int:
    """Memory of one token's keys and values."""
    return config.layers * 2 * config.kv_heads * config.head_dim * dtype.itemsize


@dataclass(frozen=True, slots=True)
class Segment:
    """A sequence's part of a line."""

    count: int
    """Its tokens in this pass."""
    cache: KeyValueCache | None = None
    """Where its earlier tokens are and the new ones go; None for a sequence that is computed whole and forgotten."""

    @property
    def past(self) -> int:
        """Tokens of the sequence before this pass."""
        return 0 if self.cache is None else self.cache.length


class LineAttention:
    """An `AttentionContext`: every token sees those before it in its own sequence."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = segments

    def positions(self, device: torch.device) -> Tensor:
        """Position of every token of the line in its sequence, [T]."""
        return torch.cat([torch.arange(part.past, part.past + part.count) for part in self.segments]).to(device)

    def attend(self, layer: int, queries_THD: Tensor, keys_TGD: Tensor, values_TGD: Tensor, window: int | None) -> Tensor:
        mixed_THD = torch.empty_like(queries_THD)
        begin = 0
        for part in self.segments:
            here = slice(begin, begin + part.count)
            begin += part.count
            if part.cache is None:
                keys_GSD, values_GSD = keys_TGD[here].transpose(0, 1), values_TGD[here].transpose(0, 1)
            else:
                keys_GSD, values_GSD = part.cache.append(layer, keys_TGD[here], values_TGD[here])
            mixed_HTD = causal_attention(queries_THD[here].transpose(0, 1), keys_GSD, values_GSD, window)
            mixed_THD[here] = mixed_HTD.transpose(0, 1)
        return mixed_THD

    def advance(self) -> None:
        """The pass is complete."""
        for part in self.segments:
            if part.cache is not None:
                part.cache.advance(part.count)
