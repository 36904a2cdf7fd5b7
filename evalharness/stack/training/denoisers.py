"""Objectives that denoise: span denoising (T5), and a mixture of denoisers (UL2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evalharness.stack.corpus.options import Section
from evalharness.stack.corpus.packing import Packed
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.denoising import SENTINEL, DenoiserOptions, corrupted, noise_mask
from evalharness.stack.training.examples import Example, documents_of, joined
from evalharness.stack.training.objectives import Batch, decoder_batch

Attention = Literal["bidirectional", "causal"]


class SpanDenoisingOptions(Section):
    """Spans are taken out of each document, and what stood there is learned (Raffel et al. 2020, arXiv 1910.10683,
    section 3.1.4; the defaults are those of section 3.3.4)."""

    name: Literal["span_denoising"] = "span_denoising"
    rate: float = Field(default=0.15, gt=0, lt=1)
    """Share of a document's tokens that are taken out."""
    span: float = Field(default=3, ge=1, allow_inf_nan=False)
    """Tokens of a span in the mean."""
    sentinels: int = Field(default=100, ge=1)
    """Special tokens that stand for spans: `<extra_id_0>` and on."""
    attention: Attention = "bidirectional"
    """What a token of the corrupted text sees: all of it, or what is before."""

    @property
    def denoisers(self) -> tuple[DenoiserOptions, ...]:
        return (DenoiserOptions(rate=self.rate, span=self.span),)


class UL2Options(Section):
    """Each document is corrupted by one of several denoisers, which a special token in front tells (Tay et al. 2022,
    arXiv 2205.05131, table 1)."""

    name: Literal["ul2"] = "ul2"
    denoisers: tuple[DenoiserOptions, ...] = Field(
        default=(
            DenoiserOptions(mode="[R]", rate=0.15, span=3),
            DenoiserOptions(mode="[R]", rate=0.15, span=8),
            DenoiserOptions(mode="[X]", rate=0.5, span=3),
            DenoiserOptions(mode="[X]", rate=0.5, span=8),
            DenoiserOptions(mode="[X]", rate=0.15, span=64),
            DenoiserOptions(mode="[X]", rate=0.5, span=64),
            DenoiserOptions(mode="[S]", rate=0.25),
        ),
        min_length=1,
    )
    """Those of the paper unless given, in equal shares: regular and extreme spans, and the sequential one, whose last
    quarter is learned."""
    sentinels: int = Field(default=100, ge=1)
    """Special tokens that stand for spans: `<extra_id_0>` and on."""
    attention: Attention = "bidirectional"
    """What a token of the corrupted text sees: all of it, or what is before."""


DenoisingOptions = SpanDenoisingOptions | UL2Options


def special_tokens(options: DenoisingOptions) -> list[str]:
    """The tokens that a tokenizer must have for an objective, in the order in which they are added to it."""
    modes = dict.fromkeys(denoiser.mode for denoiser in options.denoisers if denoiser.mode is not None)
    return [*(SENTINEL.format(number) for number in range(options.sentinels)), *modes]


class Denoising:
    """Makes examples of packed sequences, and for decoders batches in which an example is a prefix and what follows it.

    Args:
        ids: of the `special_tokens`.
        seed: of what is taken out.
    """

    marker = None
    marker_ids: Sequence[int] = ()

    def __init__(self, options: DenoisingOptions, ids: Mapping[str, int], seed: int = 0) -> None:
        self.options = options
        self._seed = seed
        self._sentinels = np.array([ids[SENTINEL.format(number)] for number in range(options.sentinels)])
        self._modes = [[] if one.mode is None else [ids[one.mode]] for one in options.denoisers]
        shares = np.cumsum([denoiser.share for denoiser in options.denoisers])
        self._shares = shares / shares[-1]

    def packed_tokens(self, context: int) -> int:
        """As many tokens as a document may have of which a decoder with this context is given and says all.

        Raises:
            TrainingError: it may have more spans than there are sentinels.
        """
        # A document never shrinks.
        longest = joined_sizes(self.options.denoisers, context + 1).max(axis=0)
        return self._enough_sentinels(int(np.searchsorted(longest, context + 1, side="right")) - 1)

    def packed_tokens_apart(self, context: int) -> int:
        """The same for an encoder-decoder, each of whose sides has this context.

        Raises:
            TrainingError: a document may have more spans than there are sentinels.
        """
        tokens = context
        while all(max(denoiser.sizes(tokens + 1)) <= context for denoiser in self.options.denoisers):
            tokens += 1
        return self._enough_sentinels(tokens)

    def sides(self, tokens: int) -> tuple[int, int]:
        """What is given and what is to be said of a document of so many tokens, in the mean over the denoisers."""
        sizes = np.array([denoiser.sizes(tokens) for denoiser in self.options.denoisers])
        given, said = np.average(sizes, axis=0, weights=[denoiser.share for denoiser in self.options.denoisers])
        return round(given), round(said)

    def _enough_sentinels(self, tokens: int) -> int:
        spans = max(denoiser.noise(tokens)[1] for denoiser in self.options.denoisers)
        if spans > self.options.sentinels:
            raise TrainingError(
                f"objective: of {tokens:,} tokens {spans:,} spans may be taken out, but there are "
                f"{self.options.sentinels:,} sentinels; give at least {spans:,} (sentinels), or a shorter context."
            )
        return tokens

    def batch(self, sequences: Sequence[Packed], places: Sequence[int]) -> Batch:
        """The batch of these sequences of one length; `places` are their positions in the training, which decide what
        is taken out.

        Its sequences are as long as the longest that one document of that length becomes. Several documents may become
        longer by a few tokens: so many are left out at the end.
        """
        length = int(joined_sizes(self.options.denoisers, len(sequences[0].tokens_T))[:, -1].max())
        rows = [
            joined(self.examples(sequence, place, length), length)
            for sequence, place in zip(sequences, places, strict=True)
        ]
        tokens_BS, documents_BS, given_BS = map(np.stack, zip(*rows, strict=True))
        bidirectional = self.options.attention == "bidirectional"
        return decoder_batch(tokens_BS, documents_BS, given_BS, bidirectional=bidirectional)

    def examples(self, sequence: Packed, place: int, room: int | None = None) -> list[Example]:
        """An example of each document; with `room`, of as many tokens as there is room for what becomes of them."""
        random = np.random.Generator(np.random.Philox(key=np.array([self._seed, place], dtype=np.uint64)))
        sizes = joined_sizes(self.options.denoisers, len(sequence.tokens_T))
        found = []
        for tokens_N in documents_of(sequence):
            number = int(np.searchsorted(self._shares, random.random(), side="right"))
            if room is not None:
                fitting = int(np.searchsorted(sizes[number, : len(tokens_N) + 1], room, side="right")) - 1
                if fitting < 1:
                    break
                tokens_N = tokens_N[:fitting]
                room -= int(sizes[number, fitting])
            found.append(self._example(tokens_N, number, random))
        return found

    def _example(self, tokens_N: NDArray[Any], number: int, random: np.random.Generator) -> Example:
        denoiser = self.options.denoisers[number]
        sentinels = self._sentinels if denoiser.span is not None else ()
        inputs_I, targets_O = corrupted(tokens_N, noise_mask(len(tokens_N), denoiser, random), sentinels)
        return Example(np.concatenate([np.array(self._modes[number], np.int64), inputs_I]), targets_O)


@cache
def joined_sizes(denoisers: tuple[DenoiserOptions, ...], length: int) -> NDArray[np.int64]:
    """What a document of 0 to `length` tokens becomes, given and said together, by each denoiser."""
    return np.array([[sum(denoiser.sizes(tokens)) for tokens in range(length + 1)] for denoiser in denoisers])
