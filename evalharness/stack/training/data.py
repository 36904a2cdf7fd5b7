"""From a corpus to the batches of a training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from pydantic import Field

from evalharness.stack.corpus.options import MixtureOptions, PackingOptions, PhaseOptions, Section
from evalharness.stack.corpus.packing import Packed, PackedSource
from evalharness.stack.corpus.reading import Corpus, open_corpus
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.draws import DrawnBatches
from evalharness.stack.training.held_out import HeldOut, Remaining, ValidationOptions, held_numbers
from evalharness.stack.training.objectives import AnyBatch, find_ids

AT_ONCE = 1 << 22
"""Tokens that are searched at once."""


class DataOptions(Section):
    """What a model is trained on."""

    corpus: str
    """The folder that `evalharness corpus build` wrote, from the folder of the YAML on."""
    context: int = Field(ge=1)
    """Tokens that the model reads at once. Sequences are of one more, since targets are one further on; of fewer where
    the objective adds sentinels."""
    packing: Literal["cut", "best_fit"] = "cut"
    """One long text cut into sequences; or documents kept whole where they fit, and padded."""
    boundaries: bool = True
    """Whether documents in one sequence are told apart: none sees another, each begins at position 0, and its first
    token is not learned from the one before."""
    mixture: MixtureOptions | None = None
    """The corpus's own unless given; without that, sources weigh by their tokens. Sources are drawn through as often
    as the training needs, unless `epochs` says otherwise. The training's seed is added to the mixture's."""
    validation: ValidationOptions | None = None


class BatchMaker(Protocol):
    """An objective: what is learned of packed sequences."""

    @property
    def marker(self) -> str | None:
        """A text that must stand in documents."""
        ...

    @property
    def marker_ids(self) -> Sequence[int]: ...

    def packed_tokens(self, context: int) -> int:
        """Tokens of the sequences that a model with this context learns from."""
        ...

    def batch(self, sequences: Sequence[Packed], places: Sequence[int]) -> AnyBatch:
        """The batch of some of them; `places` are their positions in the training, which decide what is random."""
        ...


class BatchSource(DrawnBatches):
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
        objective: BatchMaker,
        *,
        total: int,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.corpus, self.objective = open_corpus(base / options.corpus), objective
        length = objective.packed_tokens(options.context)
        packing = PackingOptions(length=length, method=options.packing, boundaries=options.boundaries)
        packed = self.corpus.packed(packing)
        mixture = _mixture(self.corpus, packed, options, length, seed)
        weighted = {name for phase in mixture.schedule for name, weight in phase.weights.items() if weight}
        held = {
            name: held_numbers(name, len(packed[name]), options.validation) for name in sorted(weighted & set(packed))
        }
        sources = {name: Remaining(packed[name], numbers) for name, numbers in held.items()}
        if options.validation is None or options.validation.corpus is None:
            held_out = HeldOut([(packed[name], numbers) for name, numbers in held.items()], options.validation)
        else:
            other = _other_corpus(base / options.validation.corpus, self.corpus)
            _require_marker(other, other.sources, options, objective)
            parts = [(source, np.arange(len(source))) for source in other.packed(packing).values()]
            held_out = HeldOut(parts, options.validation)
        super().__init__(
            sources,
            held_out,
            objective.batch,
            mixture,
            sizes={name: len(sources.get(name, source)) for name, source in packed.items()},
            total=total,
            place=str(self.corpus.folder),
            rank=rank,
            ranks=ranks,
        )
        self._require_enough(mixture.epochs, total)
        _require_marker(self.corpus, sources, options, objective)

    def _require_enough(self, epochs: Mapping[str, float], total: int) -> None:
        """What can be told before the training begins; weights may end it earlier."""
        if set(self.sequences) <= set(epochs):
            most = sum(math.ceil(epochs[name] * size) for name, size in self.sequences.items())
            if most < total:
                raise TrainingError(
                    f"data: the training takes {total:,} sequences, but the mixture's epochs let {most:,} be "
                    "drawn; raise them, or train for fewer steps."
                )


def _mixture(
    corpus: Corpus, packed: Mapping[str, PackedSource], options: DataOptions, length: int, seed: int
) -> MixtureOptions:
    weights = {name: float(corpus.sources[name].tokens) for name, source in packed.items() if len(source)}
    if not weights:
        most = max((shards.tokens for shards in corpus.sources.values()), default=0)
        raise TrainingError(
            f"{corpus.folder}: no source fills one sequence of {length:,} tokens (for a context of "
            f"{options.context:,}), as the largest has {most:,}; take a shorter context or more texts."
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


def _require_marker(corpus: Corpus, names: Iterable[str], options: DataOptions, objective: BatchMaker) -> None:
    ids, marker = objective.marker_ids, objective.marker
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
