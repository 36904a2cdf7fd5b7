"""Which source each sequence of a training comes from, and which of its sequences: the seed and the position decide.

Sources are drawn at random by their weights at that share of the training. A source's own sequences come in an order
drawn anew for each epoch, every one once. A draw depends on the seed, the position and how often each source was drawn
before, so a cursor of these goes on exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalharness.stack.corpus.options import MixtureOptions
from evalharness.stack.errors import CorpusError


class Draw(NamedTuple):
    """One sequence of the training."""

    position: int
    source: str
    epoch: int
    """How often the source was drawn through before."""
    sequence: int
    """Position in the source."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a training stands in its data."""

    position: int = 0
    """Sequences drawn."""
    drawn: tuple[tuple[str, int], ...] = ()
    """And of each source."""

    def to_json(self) -> dict[str, Any]:
        return {"position": self.position, "drawn": dict(self.drawn)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Cursor:
        return cls(int(values["position"]), tuple(sorted((str(k), int(v)) for k, v in values["drawn"].items())))


class Mixture:
    """Draws for a training of `total` sequences from sources of the given numbers of sequences.

    Raises:
        CorpusError: a weight names no source, or one without a sequence.
    """

    def __init__(self, sizes: Mapping[str, int], options: MixtureOptions, total: int) -> None:
        self._options, self._sizes, self._total = options, dict(sizes), total
        self._names = sorted({name for phase in options.schedule for name in phase.weights})
        for name in [*self._names, *options.epochs]:
            if name not in sizes:
                raise CorpusError(f"mixture: no source is named '{name}'; there are: {', '.join(sorted(sizes))}.")
        for name in self._names:
            if not sizes[name]:
                raise CorpusError(f"mixture: '{name}' fills not one sequence; leave it out, or take shorter sequences.")
        self._orders: dict[str, tuple[int, NDArray[np.int64]]] = {}

    def weights(self, share: float) -> dict[str, float]:
        """The weights at this share of the training, which add up to 1."""
        schedule = self._options.schedule
        now = max(index for index, phase in enumerate(schedule) if phase.at <= share)
        weights = self._normalized(now)
        if self._options.change == "linear" and now + 1 < len(schedule):
            then = self._normalized(now + 1)
            way = (share - schedule[now].at) / (schedule[now + 1].at - schedule[now].at)
            weights = {name: (1 - way) * weights[name] + way * then[name] for name in self._names}
        return weights

    def draws(self, cursor: Cursor | None = None) -> Iterator[tuple[Draw, Cursor]]:
        """Each draw from the cursor on, with the cursor after it. Ends with the training, or where every source that
        has a weight has been drawn as often as it may."""
        cursor = cursor or Cursor()
        drawn = dict.fromkeys(self._names, 0) | dict(cursor.drawn)
        for position in range(cursor.position, self._total):
            weights = self.weights(position / self._total)
            open_ = {name: weight for name, weight in weights.items() if weight and drawn[name] < self._most(name)}
            if not open_:
                return
            source = _chosen(open_, _uniform(self._options.seed, position))
            epoch, place = divmod(drawn[source], self._sizes[source])
            drawn[source] += 1
            sequence = int(self._order(source, epoch)[place])
            yield Draw(position, source, epoch, sequence), Cursor(position + 1, tuple(sorted(drawn.items())))

    def _normalized(self, phase: int) -> dict[str, float]:
        weights = self._options.schedule[phase].weights
        total = sum(weights.values())
        return {name: weights.get(name, 0.0) / total for name in self._names}

    def _most(self, name: str) -> float:
        return self._options.epochs.get(name, float("inf")) * self._sizes[name]

    def _order(self, source: str, epoch: int) -> NDArray[np.int64]:
        kept = self._orders.get(source)
        if kept is None or kept[0] != epoch:
            key = _number(f"{self._options.seed}/{source}/{epoch}")
            kept = epoch, np.random.Generator(np.random.Philox(key=key)).permutation(self._sizes[source])
            self._orders[source] = kept
        return kept[1]


def _chosen(weights: Mapping[str, float], uniform: float) -> str:
    left = uniform * sum(weights.values())
    for name, weight in weights.items():
        left -= weight
        if left < 0:
            return name
    return name


def _uniform(seed: int, position: int) -> float:
    """A number in [0, 1) that the seed and the position decide."""
    return (_number(f"{seed}:{position}") >> 11) / (1 << 53)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
