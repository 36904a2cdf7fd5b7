"""Where keys and values lie: token by token for the prefix tree, in tiles of 64 positions for running texts.

Letters in names: L layers, G key and value heads, D size of a head, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

import torch
from torch import Tensor

from evalharness.stack.config import ModelConfig
from evalharness.stack.kernels.tiles import TILE


class Budget:
    """Tokens whose keys and values may be kept at once, over all stores."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.used = 0
        self._peak = 0

    @property
    def left(self) -> int:
        return self.tokens - self.used

    def take(self, count: int) -> None:
        """Raises MemoryError where it does not fit: the scheduler asks `left` first, so this is a fault of ours."""
        if count > self.left:
            raise MemoryError(f"{count} tokens of keys and values where {self.left} of {self.tokens} are left")
        self.used += count
        self._peak = max(self._peak, self.used)

    def take_peak(self) -> int:
        """Most tokens kept at once since the last call."""
        peak, self._peak = self._peak, self.used
        return peak

    def give_back(self, count: int) -> None:
        self.used -= count


class TokenStore:
    """Keys, values and last hidden state of single tokens, each in a slot that one node of the tree owns."""

    def __init__(self, config: ModelConfig, dtype: torch.dtype, device: torch.device, budget: Budget) -> None:
        self._options = {"dtype": dtype, "device": device}
        self._budget = budget
        self._free: list[int] = []
        self.capacity = 0
        """Slots handed out so far."""
        shape = (2, 0, config.kv_heads, config.stored_dim)
        self.layers: list[Tensor] = [torch.empty(shape, **self._options) for _ in range(config.layers)]  # type: ignore[call-overload]
        """For each layer [2, slots, G, D]."""
        self.hidden: Tensor = torch.empty((0, config.width), **self._options)  # type: ignore[call-overload]
        """[slots, W], after the last block: the row that predicts a continuation's first token."""

    def allocate(self, count: int) -> list[int]:
        self._budget.take(count)
        again = min(count, len(self._free))
        slots = self._free[len(self._free) - again :]
        del self._free[len(self._free) - again :]
        slots.reverse()
        if again < count:
            top = self.capacity + count - again
            slots += range(self.capacity, top)
            if top > len(self.hidden):
                self._grow(_room(top, len(self.hidden), self._budget.tokens, self.hidden.device))
            self.capacity = top
        return slots

    def release(self, slots: Sequence[int]) -> None:
        self._free.extend(reversed(slots))
        self._budget.give_back(len(slots))

    def free_slots(self) -> frozenset[int]:
        """For the integrity check."""
        return frozenset(self._free)

    def _grow(self, room: int) -> None:
        for layer, old in enumerate(self.layers):
            self.layers[layer] = torch.empty((2, room, *old.shape[2:]), **self._options)  # type: ignore[call-overload]
            self.layers[layer][:, : self.capacity] = old[:, : self.capacity]
        hidden = torch.empty((room, self.hidden.shape[1]), **self._options)  # type: ignore[call-overload]
        hidden[: self.capacity] = self.hidden[: self.capacity]
        self.hidden = hidden


class TileStore:
    """Keys and values of running texts, in tiles that one text owns each.

    A tile is handed out when its first position is written, and the lowest free one first, so that those in use lie
    together: attention then reads them in place, all at once. Tile 0 belongs to nobody; it stands for tiles that a
    text does not have.
    """

    def __init__(self, config: ModelConfig, dtype: torch.dtype, device: torch.device, budget: Budget) -> None:
        self._options = {"dtype": dtype, "device": device}
        self._budget = budget
        self._free: list[int] = []
        self._shape = (config.kv_heads, TILE, config.stored_dim)
        self.capacity = 1
        """Tiles handed out so far, and tile 0."""
        self.layers: list[Tensor] = [torch.zeros((2, 1, *self._shape), **self._options) for _ in range(config.layers)]  # type: ignore[call-overload]
        """For each layer [2, tiles, G, 64, D]."""

    def reserve(self, count: int) -> None:
        """Set memory aside for so many tiles of one text, to its last token; each is handed out when it is written."""
        self._budget.take(count * TILE)

    def extend(self, owners: Sequence[list[int]], counts: Sequence[int]) -> None:
        """Hand out more of the reserved tiles of texts, until each has its count."""
        top = self.capacity
        for tiles, count in zip(owners, counts, strict=True):
            for _ in range(count - len(tiles)):
                if self._free:
                    tiles.append(heappop(self._free))
                else:
                    tiles.append(top)
                    top += 1
        if top == self.capacity:
            return
        room = self.layers[0].shape[1]
        if top > room:
            self._grow(_room(top, room, self._budget.tokens // TILE + 1, self.layers[0].device))
        for layer in self.layers:
            # Weights of 0 meet what nobody wrote, which must be finite.
            layer[:, self.capacity : top] = 0
        self.capacity = top

    def release(self, tiles: Sequence[int], reserved: int) -> None:
        """A text is done with its tiles, and with all `reserved` ones."""
        for tile in tiles:
            heappush(self._free, tile)
        self._budget.give_back(reserved * TILE)

    def compact(self, owners: Sequence[list[int]]) -> None:
        """Move tiles to the lowest places where less than half of those below the highest are in use.

        When texts end, those that go on would otherwise be computed with everything that lies between them.
        """
        used = sorted(tile for tiles in owners for tile in tiles)
        if not used or used[-1] <= 2 * len(used):
            return
        places = dict(zip([tile for tile in used if tile > len(used)], self._free_below(len(used), used), strict=True))
        sources, targets = list(places), list(places.values())
        for layer in self.layers:
            layer[:, targets] = layer[:, sources]
        for tiles in owners:
            tiles[:] = [places.get(tile, tile) for tile in tiles]
        self._free = sorted({*self._free, *sources} - {*targets})

    @staticmethod
    def _free_below(top: int, used: Sequence[int]) -> list[int]:
        taken = set(used)
        return [tile for tile in range(1, top + 1) if tile not in taken]

    def free_tiles(self) -> frozenset[int]:
        """For the integrity check."""
        return frozenset(self._free)

    def _grow(self, room: int) -> None:
        for layer, old in enumerate(self.layers):
            self.layers[layer] = torch.empty((2, room, *self._shape), **self._options)  # type: ignore[call-overload]
            self.layers[layer][:, : self.capacity] = old[:, : self.capacity]


class SharedPath:
    """Whole tiles of positions at the beginning of several texts."""

    def __init__(self, ids: tuple[int, ...]) -> None:
        self.ids = ids
        self.pages: list[int] = []
        """Tiles of the store that they lie in, where attention reads them there."""
        self.layers: list[Tensor] = []
        """Elsewhere: keys and values side by side, for each layer [2, G, shared, D]."""
        self.users = 0


def _room(needed: int, room: int, most: int, device: torch.device) -> int:
    """Places to make: on a processor all at once, for what is not touched takes no memory; elsewhere half as many more.

    Growing would leave holes in a processor's memory as large as what is moved.
    """
    return most if device.type == "cpu" else min(most, max(needed, room + room // 2))


def bytes_per_token(config: ModelConfig, dtype: torch.dtype) -> int:
    """Memory of one token: its keys and values, and its last hidden state, which is the larger part where one small
    key head serves all queries of a wide model."""
    return (config.layers * 2 * config.kv_heads * config.stored_dim + config.width) * dtype.itemsize
