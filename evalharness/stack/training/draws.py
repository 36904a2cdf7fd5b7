"""Batches drawn from named sources by their weights: a cursor alone decides what comes next."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Protocol

from evalharness.stack.corpus.mixtures import Cursor, Draw, Mixture
from evalharness.stack.corpus.options import MixtureOptions, PhaseOptions
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.objectives import AnyBatch


class DataEnded(TrainingError):
    """The mixture's sources have been taken as often as they may be: the training ends here."""


class Sequences(Protocol):
    """What is learned at once, by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Any: ...


class DrawnBatches:
    """The data of one training, as one of its ranks reads it.

    Args:
        sources: by name, what is trained on.
        held_out: what is not, in the order in which it is validated on.
        batch: makes a batch of such sequences and their positions in the training.
        sizes: of all sources that the mixture may name, also of those that have no weight; those of `sources` unless
            given.
        total: sequences that the whole training takes; the mixture's schedule is of shares of it. A training that
            skipped some goes on beyond it by the last weights.
        place: where the data lie, for sentences.

    Raises:
        CorpusError: the mixture does not fit the sources.
    """

    def __init__(
        self,
        sources: Mapping[str, Sequences],
        held_out: Sequences,
        batch: Callable[[Sequence[Any], Sequence[int]], AnyBatch],
        mixture: MixtureOptions,
        *,
        total: int,
        place: str,
        sizes: Mapping[str, int] | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.sequences: Mapping[str, int] = {name: len(source) for name, source in sources.items()}
        """Of each source that is trained on, without what is held out."""
        self._sources, self._held_out, self._batch, self._place = sources, held_out, batch, place
        self._total, self._rank, self._ranks = total, rank, ranks
        sizes = self.sequences if sizes is None else sizes
        self._mixture = Mixture(sizes, mixture, total)
        last = PhaseOptions(at=0, weights=self._mixture.weights(1))
        self._beyond = Mixture(sizes, mixture.model_copy(update={"schedule": (last,)}), sys.maxsize)

    @property
    def held_out(self) -> int:
        """Sequences for validation."""
        return len(self._held_out)

    def take(self, cursor: Cursor, sequences: int, micro: int) -> tuple[list[AnyBatch], Cursor]:
        """The next global batch of so many sequences, as far as it is this rank's, in batches of `micro` sequences (the
        last one of what is left), and the cursor after it.

        Of n ranks, rank r gets the sequences r, r + n, ... of the global batch; all move the same cursor.

        Raises:
            TrainingError: the batch does not divide among the ranks, or is larger than what there is.
            DataEnded: fewer sequences are left.
        """
        if sequences % self._ranks:
            raise TrainingError(
                f"A batch of {sequences:,} sequences does not divide among {self._ranks} ranks; take a multiple."
            )
        if sequences > (there := sum(self.sequences.values())):
            raise TrainingError(
                f"A batch of {sequences:,} sequences is more than the {there:,} that {self._place} has to train "
                "on; take a smaller batch or a shorter context."
            )
        draws, after = self._draw(cursor, sequences)
        own = draws[self._rank :: self._ranks]
        taken = [self._sources[draw.source][draw.sequence] for draw in own]
        return self._batches(taken, [draw.position for draw in own], micro), after

    def skip(self, cursor: Cursor, sequences: int) -> Cursor:
        """The cursor after so many sequences that nobody reads.

        Raises:
            DataEnded: fewer are left.
        """
        return self._draw(cursor, sequences)[1]

    def validation(self, sequences: int, micro: int) -> list[AnyBatch]:
        """The first so many sequences of what is held out, always the same: this rank's, as in `take`, but one rank may
        have a sequence more than another.

        Raises:
            TrainingError: fewer are held out.
        """
        if sequences > self.held_out:
            raise TrainingError(
                f"Validation on {sequences:,} sequences, but {self.held_out:,} are held out; hold out more "
                "(data.validation), or take fewer."
            )
        places = range(self._rank, sequences, self._ranks)
        return self._batches([self._held_out[place] for place in places], places, micro)

    def _batches(self, taken: Sequence[Any], places: Sequence[int], micro: int) -> list[AnyBatch]:
        return [
            self._batch(taken[start : start + micro], places[start : start + micro])
            for start in range(0, len(taken), micro)
        ]

    def _draw(self, cursor: Cursor, sequences: int) -> tuple[list[Draw], Cursor]:
        draws = []
        for draw, after in islice(self._draws(cursor), sequences):
            draws.append(draw)
            cursor = after
        if len(draws) < sequences:
            raise DataEnded(
                f"The mixture is drawn through after {cursor.position:,} sequences: each of its sources was taken as "
                "often as its epochs let it; raise them, or train for fewer steps."
            )
        return draws, cursor

    def _draws(self, cursor: Cursor) -> Iterator[tuple[Draw, Cursor]]:
        for draw, after in self._mixture.draws(cursor):
            cursor = after
            yield draw, cursor
        if cursor.position >= self._total:
            yield from self._beyond.draws(cursor)


class Prefetched:
    """Takes a batch ahead in a thread, in the hope that the next one is as large.

    What comes is what the source itself would give: what was read ahead for another cursor or size is dropped.
    """

    def __init__(self, source: DrawnBatches) -> None:
        self._source = source
        self._thread = ThreadPoolExecutor(1)
        self._ahead: tuple[tuple[Cursor, int, int], Future[tuple[list[AnyBatch], Cursor]]] | None = None

    def take(self, cursor: Cursor, sequences: int, micro: int) -> tuple[list[AnyBatch], Cursor]:
        """As the source's."""
        if self._ahead is not None and self._ahead[0] == (cursor, sequences, micro):
            batches, after = self._ahead[1].result()
        else:
            batches, after = self._source.take(cursor, sequences, micro)
        following = after, sequences, micro
        self._ahead = following, self._thread.submit(self._source.take, *following)
        return batches, after
