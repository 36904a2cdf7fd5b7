"""What is held out of a corpus for validation, and what remains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from evalharness.stack.corpus.options import Section
from evalharness.stack.corpus.packing import Packed, PackedSource
from evalharness.stack.errors import TrainingError


class ValidationOptions(Section):
    """What is held out to see how well the model does on texts that it does not learn: one of the three."""

    share: float | None = Field(default=None, gt=0, lt=1)
    """Of each source's sequences. Packed by `cut`, a long document may lie partly in a sequence that is held out and
    partly in one that is learned; for texts that are strictly others, name another corpus."""
    sequences: int | None = Field(default=None, ge=1)
    """Of each source."""
    corpus: str | None = None
    """The folder of another corpus, made with the same tokenizer, from the folder of the YAML on."""
    seed: int = Field(default=0, ge=0)
    """Which sequences. It is not the training's, so that trainings with different seeds can be compared."""

    @model_validator(mode="after")
    def _one(self) -> ValidationOptions:
        if [self.share, self.sequences, self.corpus].count(None) != 2:
            raise ValueError("validation: give one of share, sequences and corpus.")
        return self


def held_numbers(name: str, size: int, options: ValidationOptions | None) -> NDArray[np.int64]:
    """Which of a source's sequences are held out, in order."""
    if options is None or options.corpus is not None:
        return np.empty(0, np.int64)
    count = options.sequences if options.share is None else round(options.share * size)
    if count and count >= size > 0:
        raise TrainingError(
            f"data.validation holds out {count:,} sequences of '{name}', which has {size:,}: none would be left to "
            "train on; hold out fewer."
        )
    return np.sort(_random(options.seed, *name.encode()).permutation(size)[:count])


class Remaining:
    """The sequences of a source that are not held out, numbered anew."""

    def __init__(self, packed: PackedSource, held: NDArray[np.int64]) -> None:
        self._packed = packed
        self._before = held - np.arange(len(held))
        """How many that remain lie before each one that is held out."""

    def __len__(self) -> int:
        return len(self._packed) - len(self._before)

    def __getitem__(self, number: int) -> Packed:
        return self._packed[number + int(np.searchsorted(self._before, number, side="right"))]


class HeldOut:
    """Sequences of several sources in one order, which the seed draws.

    Raises:
        TrainingError: validation is asked for, but there is none.
    """

    def __init__(
        self, parts: Sequence[tuple[PackedSource, NDArray[np.int64]]], options: ValidationOptions | None
    ) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(numbers) for _, numbers in parts])
        if options is not None and not len(self):
            raise TrainingError(
                "data.validation holds out not one sequence; take a larger share, or a corpus that fills a sequence."
            )
        self._order = _random(options.seed if options else 0).permutation(len(self))

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, place: int) -> Packed:
        chosen = int(self._order[place])
        part = int(np.searchsorted(self._ends, chosen, side="right"))
        packed, numbers = self._parts[part]
        return packed[int(numbers[chosen - self._ends[part] + len(numbers)])]


def _random(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key))
