"""Keys and values of sequences, and the attention over a line of sequences that lie one after another.

Letters in names: T tokens of a pass, R running texts, H query heads, G key and value heads, S tokens kept,
D size of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.config import ModelConfig
from evalharness.stack.layers.attention import causal_attention


class KeyValueCache:
    """Keys and values of one sequence: for each layer a tensor [2, G, capacity, D]."""

    def __init__(self, layers: Sequence[Tensor], length: int = 0) -> None:
        self._layers = layers
        self.length = length
        """Tokens whose keys and values are kept."""

    @classmethod
    def empty(cls, config: ModelConfig, capacity: int, dtype: torch.dtype, device: torch.device) -> KeyValueCache:
        """Room for `capacity` tokens."""
        shape = (2, config.kv_heads, capacity, config.head_dim)
        return cls([torch.empty(shape, dtype=dtype, device=device) for _ in range(config.layers)])

    def append(self, layer: int, keys_TGD: Tensor, values_TGD: Tensor) -> tuple[Tensor, Tensor]:
        """Keep those of a pass's tokens; all keys and values of the layer, [G, S, D], the new ones last.

        `length` stays as it is until the pass is over, because every layer of a pass writes at the same place.
        """
        end = self.length + keys_TGD.shape[0]
        keys_GSD, values_GSD = self._layers[layer]
        keys_GSD[:, self.length : end] = keys_TGD.transpose(0, 1)
        values_GSD[:, self.length : end] = values_TGD.transpose(0, 1)
        return keys_GSD[:, :end], values_GSD[:, :end]


class KeyValueRows:
    """Keys and values of the running texts, one row each; rows 0 to R - 1 are in use.

    All rows have the capacity of the longest text, so that one call attends for all of them.
    """

    def __init__(self, config: ModelConfig, dtype: torch.dtype, device: torch.device) -> None:
        self._config = config
        self._options = {"dtype": dtype, "device": device}
        self.lengths: list[int] = []
        """Tokens kept of each row."""
        self.layers: list[Tensor] = []
        """For each layer a tensor [2, rows, G, capacity, D]."""
        self.resize(0, 0)

    def resize(self, rows: int, capacity: int) -> None:
        """Room for `rows` texts of `capacity` tokens; what the rows in use hold stays."""
        self.rows, self.capacity = rows, capacity
        kept, longest = len(self.lengths), max(self.lengths, default=0)
        old, self.layers = self.layers, []
        for layer in range(self._config.layers):
            shape = (2, rows, self._config.kv_heads, capacity, self._config.head_dim)
            # Zeros, because what lies behind a shorter row is multiplied by a probability of 0, and 0 x NaN is NaN.
            tensor = torch.zeros(shape, **self._options)  # type: ignore[call-overload]
            if kept:
                tensor[:, :kept, :, :longest] = old[layer][:, :kept, :, :longest]
                old[layer] = tensor[:0]  # give the memory of each layer back before the next is made
            self.layers.append(tensor)

    def view(self, row: int) -> KeyValueCache:
        """A row as the cache of one new sequence."""
        return KeyValueCache([tensor[:, row] for tensor in self.layers])

    def copy(self, source: int, target: int, length: int) -> None:
        """Put what row `source` holds of its first `length` tokens into row `target`."""
        for tensor in self.layers:
            tensor[:, target, :, :length] = tensor[:, source, :, :length]

    def remove(self, row: int) -> None:
        """Close the gap that a finished text leaves with the last row."""
        last, length = len(self.lengths) - 1, self.lengths[-1]
        if row != last:
            self.copy(last, row, length)
            self.lengths[row] = length
        self.lengths.pop()


class NextTokens:
    """One new token of each running text against its row: one call of attention for all of them."""

    def __init__(self, rows: KeyValueRows, device: torch.device) -> None:
        self.count = len(rows.lengths)
        self._layers = rows.layers
        self._rows = torch.arange(self.count, device=device)
        self.lengths = torch.tensor(rows.lengths, dtype=torch.long, device=device)
        self._seen = max(rows.lengths, default=0) + 1
        self._masks: dict[int | None, Tensor] = {}

    def attend(
        self, layer: int, queries_RHD: Tensor, keys_RGD: Tensor, values_RGD: Tensor, window: int | None
    ) -> Tensor:
        keys_RGSD, values_RGSD = self._layers[layer]
        keys_RGSD[self._rows, :, self.lengths] = keys_RGD
        values_RGSD[self._rows, :, self.lengths] = values_RGD
        mixed = F.scaled_dot_product_attention(
            # Heads of one group become rows of one query matrix: no key is repeated.
            queries_RHD.view(self.count, keys_RGD.shape[1], -1, queries_RHD.shape[-1]),
            keys_RGSD[: self.count, :, : self._seen],
            values_RGSD[: self.count, :, : self._seen],
            attn_mask=self._mask(window),
        )
        return mixed.reshape(queries_RHD.shape)

    def _mask(self, window: int | None) -> Tensor:
        """Which positions each row sees, [R, 1, 1, S]; the same in all layers of one window."""
        if window not in self._masks:
            places_S = torch.arange(self._seen, device=self.lengths.device)
            visible_RS = places_S <= self.lengths[:, None]
            if window is not None:
                visible_RS &= self.lengths[:, None] - places_S < window
            self._masks[window] = visible_RS[:, None, None]
        return self._masks[window]


@dataclass(frozen=True, slots=True)
class Segment:
    """A sequence's part of a line."""

    count: int
    """Its tokens in this pass."""
    cache: KeyValueCache | None = None
    """Where its earlier tokens are and the new ones go; None for a sequence that is computed whole and forgotten."""


class LineAttention:
    """An `AttentionContext`: every token sees those before it in its own sequence.

    The line holds the next tokens of the running texts, where there are any, and then the segments.
    """

    def __init__(self, segments: Sequence[Segment], next_tokens: NextTokens | None = None) -> None:
        self.segments = segments
        self.next_tokens = next_tokens

    def positions(self, device: torch.device) -> Tensor:
        """Position of every token of the line in its sequence, [T]."""
        past = [0 if part.cache is None else part.cache.length for part in self.segments]
        parts = [torch.arange(at, at + part.count) for at, part in zip(past, self.segments, strict=True)]
        if self.next_tokens is not None:
            parts.insert(0, self.next_tokens.lengths.cpu())
        return torch.cat(parts).to(device)

    def attend(
        self, layer: int, queries_THD: Tensor, keys_TGD: Tensor, values_TGD: Tensor, window: int | None
    ) -> Tensor:
        mixed_THD = torch.empty_like(queries_THD)
        begin = 0
        if self.next_tokens is not None:
            begin = self.next_tokens.count
            here = slice(0, begin)
            mixed_THD[here] = self.next_tokens.attend(
                layer, queries_THD[here], keys_TGD[here], values_TGD[here], window
            )
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


def bytes_per_token(config: ModelConfig, dtype: torch.dtype) -> int:
    """Memory of one token's keys and values."""
    return config.layers * 2 * config.kv_heads * config.head_dim * dtype.itemsize
