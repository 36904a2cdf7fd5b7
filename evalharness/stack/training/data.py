"""From a corpus to the batches of a training; a cursor alone decides what comes next."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from evalharness.stack.corpus.mixtures import Cursor, Draw, Mixture
from evalharness.stack.corpus.options import MixtureOptions, PackingOptions, PhaseOptions, Section
from evalharness.stack.corpus.packing import Packed, PackedSource
from evalharness.stack.corpus.reading import Corpus, open_corpus
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.held_out import HeldOut, Remaining, ValidationOptions, held_numbers
from evalharness.stack.training.objectives import Batch, Objective, find_ids

AT_ONCE = 1 << 22
"""Tokens that are searched at once."""


class DataOptions(Section):
    """What a model is trained on."""

    corpus: str
    """The folder that `evalharness corpus build` wrote, from the folder of the YAML on."""
    context: int = Field(ge=1)
    """Tokens that the model reads at once; sequences are of one more, since targets are one further on."""
    packing: Literal["cut", "best_fit"] = "cut"
    """One long text cut every `context` + 1 tokens; or documents kept whole where they fit, and padded."""
    boundaries: bool = True
    """Whether documents in one sequence are told apart: none sees another, each begins at position 0, and its first
    token is not learned from the one before."""
    mixture: MixtureOptions | None = None
    """The corpus's own unless given; without that, sources weigh by their tokens. Sources are drawn through as often
    as the training needs, unless `epochs` says otherwise. The training's seed is added to the mixture's."""
    validation: ValidationOptions | None = None


class DataEnded(TrainingError):
    """The mixture's sources have been taken as often as they may be: the training ends here."""


class BatchSource:
    """The data of one training, as one of its ranks reads it.

    Args:
        base: the folder that paths start at.
        total: sequences that the whole training takes; the mixture's schedule is of shares of it. A training that
            skipped some goes on beyond it by the last weights.
        seed: the training's.

    Raises:
        CorpusError: a corpus cannot be read, or the mixture does not fit it.
        TrainingError: there is not one sequence, or not as many as the training or its validation needs; the corpus for
            validation is of another tokenizer; no document of a source holds the objective's marker.
    """

    def __init__(
        self,
        options: DataOptions,
        base: Path,
        objective: Objective,
        *,
        total: int,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.corpus = open_corpus(base / options.corpus)
        self._objective, self._total, self._rank, self._ranks = objective, total, rank, ranks
        packing = PackingOptions(length=options.context + 1, method=options.packing, boundaries=options.boundaries)
        packed = self.corpus.packed(packing)
        mixture = _mixture(self.corpus, packed, options, seed)
        weighted = {name for phase in mixture.schedule for name, weight in phase.weights.items() if weight}
        held = {
            name: held_numbers(name, len(packed[name]), options.validation) for name in sorted(weighted & set(packed))
        }
        self._sources = {name: Remaining(packed[name], numbers) for name, numbers in held.items()}
        sizes = {name: len(self._sources.get(name, source)) for name, source in packed.items()}
        self._mixture = Mixture(sizes, mixture, total)
        last = PhaseOptions(at=0, weights=self._mixture.weights(1))
        self._beyond = Mixture(sizes, mixture.model_copy(update={"schedule": (last,)}), sys.maxsize)
        self.sequences: Mapping[str, int] = {name: len(source) for name, source in self._sources.items()}
        """Of each source that is trained on, without what is held out."""
        self._require_enough(mixture.epochs)
        _require_marker(self.corpus, self._sources, options, objective)
        if options.validation is None or options.validation.corpus is None:
            self._held_out = HeldOut([(packed[name], numbers) for name, numbers in held.items()], options.validation)
        else:
            other = _other_corpus(base / options.validation.corpus, self.corpus)
            _require_marker(other, other.sources, options, objective)
            parts = [(source, np.arange(len(source))) for source in other.packed(packing).values()]
            self._held_out = HeldOut(parts, options.validation)

    @property
    def held_out(self) -> int:
        """Sequences for validation."""
        return len(self._held_out)

    def take(self, cursor: Cursor, sequences: int, micro: int) -> tuple[list[Batch], Cursor]:
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
                f"A batch of {sequences:,} sequences is more than the {there:,} that {self.corpus.folder} has to train "
                "on; take a smaller batch or a shorter context."
            )
        draws, after = self._draw(cursor, sequences)
        own = draws[self._rank :: self._ranks]
        packed = [self._sources[draw.source][draw.sequence] for draw in own]
        return self._batches(packed, [draw.position for draw in own], micro), after

    def skip(self, cursor: Cursor, sequences: int) -> Cursor:
        """The cursor after so many sequences that nobody reads.

        Raises:
            DataEnded: fewer are left.
        """
        return self._draw(cursor, sequences)[1]

    def validation(self, sequences: int, micro: int) -> list[Batch]:
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
        packed = [self._held_out[place] for place in places]
        return self._batches(packed, places, micro)

    def _batches(self, packed: Sequence[Packed], places: Sequence[int], micro: int) -> list[Batch]:
        return [
            self._objective.batch(packed[start : start + micro], places[start : start + micro])
            for start in range(0, len(packed), micro)
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

    def _require_enough(self, epochs: Mapping[str, float]) -> None:
        """What can be told before the training begins; weights may end it earlier."""
        if set(self.sequences) <= set(epochs):
            most = sum(math.ceil(epochs[name] * size) for name, size in self.sequences.items())
            if most < self._total:
                raise TrainingError(
                    f"data: the training takes {self._total:,} sequences, but the mixture's epochs let {most:,} be "
                    "drawn; raise them, or train for fewer steps."
                )


class Prefetched:
    """Takes a batch ahead in a thread, in the hope that the next one is as large.

    What comes is what the source itself would give: what was read ahead for another cursor or size is dropped.
    """

    def __init__(self, source: BatchSource) -> None:
        self._source = source
        self._thread = ThreadPoolExecutor(1)
        self._ahead: tuple[tuple[Cursor, int, int], Future[tuple[list[Batch], Cursor]]] | None = None

    def take(self, cursor: Cursor, sequences: int, micro: int) -> tuple[list[Batch], Cursor]:
        """As the source's."""
        if self._ahead is not None and self._ahead[0] == (cursor, sequences, micro):
            batches, after = self._ahead[1].result()
        else:
            batches, after = self._source.take(cursor, sequences, micro)
        following = after, sequences, micro
        self._ahead = following, self._thread.submit(self._source.take, *following)
        return batches, after


def _mixture(corpus: Corpus, packed: Mapping[str, PackedSource], options: DataOptions, seed: int) -> MixtureOptions:
    weights = {name: float(corpus.sources[name].tokens) for name, source in packed.items() if len(source)}
    if not weights:
        most = max((shards.tokens for shards in corpus.sources.values()), default=0)
        raise TrainingError(
            f"{corpus.folder}: no source fills one sequence of {options.context + 1:,} tokens (the context and one "
            f"more), as the largest has {most:,}; take a shorter context or more texts."
        )
    mixture = options.mixture
    if mixture is None and (kept := corpus.facts.get("mixture")):
        mixture = MixtureOptions.model_validate(kept)
    if mixture is None:
        mixture = MixtureOptions(schedule=(PhaseOptions(at=0, weights=weights),))
    return mixture.model_copy(update={"seed": mixture.seed + seed})


def _other_corpus(folder: Path, corpus: Corpus) -> Corpus:
    other = open_corpus(folder)
    if other.facts["tokenizer"]["fingerprint"] != corpus.facts["tokenizer"]["fingerprint"]:
        raise TrainingError(
            f"{folder}: made with the tokenizer '{other.facts['tokenizer']['name']}', which is not that of "
            f"{corpus.folder}; build both with the same one."
        )
    return other


def _require_marker(corpus: Corpus, names: Iterable[str], options: DataOptions, objective: Objective) -> None:
    ids, marker = objective.marker_ids, objective.options.marker
    if not ids:
        return
    if not options.boundaries:
        raise TrainingError("objective: a marker is looked for in each document, so data.boundaries must be true.")
    for name in names:
        shards = corpus.sources[name]
        starts = range(0, shards.tokens, AT_ONCE)
        if not any(len(find_ids(shards.read(start, start + AT_ONCE + len(ids) - 1), ids)) for start in starts):
            raise TrainingError(
                f"{corpus.folder}: no document of '{name}' holds the objective's marker {marker!r} as the tokens "
                f"{list(ids)}; take one that stands there, and that its surroundings do not tokenise otherwise."
            )
