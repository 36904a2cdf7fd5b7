"""What a fine-tuning is trained on: conversations or pairs of its sources, encoded, and some of them held out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from evalharness.stack.adaptation.batches import Pair
from evalharness.stack.adaptation.chat import ChatEncoder, Encoded
from evalharness.stack.adaptation.conversations import conversation, preference
from evalharness.stack.adaptation.options import ChatDataOptions
from evalharness.stack.adaptation.rows import Row, rows_of
from evalharness.stack.corpus.options import MixtureOptions, PhaseOptions
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.held_out import ValidationOptions, held_numbers

HELD_OUT = "validation"
"""Name of what `data.validation.paths` name."""


class Item(Protocol):
    """A conversation, or a pair of them."""

    @property
    def where(self) -> str: ...

    def __len__(self) -> int:
        """Tokens of the longest sequence."""
        ...


T = TypeVar("T", bound=Item)


@dataclass(slots=True)
class ChatCounts:
    """What was read of a source."""

    conversations: int = 0
    """Or pairs; those that are learned from, before some are held out."""
    tokens: int = 0
    learned: int = 0
    """Tokens of answers."""
    cut: int = 0
    """Conversations that lost their end to the context."""
    dropped: int = 0
    """Conversations that were left out as too long."""


@dataclass(slots=True)
class ChatData(Generic[T]):
    """Encoded conversations or pairs."""

    sources: dict[str, list[T]] = field(default_factory=dict)
    held_out: list[T] = field(default_factory=list)
    counts: dict[str, ChatCounts] = field(default_factory=dict)
    """By source, and of `HELD_OUT` where that has files of its own."""

    def items(self) -> list[T]:
        """All, the held-out ones at the end."""
        return [*(item for items in self.sources.values() for item in items), *self.held_out]


def read_conversations(options: ChatDataOptions, base: Path, encode: ChatEncoder) -> ChatData[Encoded]:
    """Raises:
    TrainingError: a file or row is wrong; a conversation is too long; a source has none.
    """
    return _read(options, base, lambda row: encode(conversation(row)), lambda one: (one,), _shortened)


def read_pairs(options: ChatDataOptions, base: Path, encode: ChatEncoder) -> ChatData[Pair]:
    """Raises:
    TrainingError: as `read_conversations`, of pairs.
    """

    def pair(row: Row) -> Pair:
        both = preference(row)
        return Pair(encode(both.chosen), encode(both.rejected))

    return _read(options, base, pair, lambda both: both.answers, _shortened_pair)


def mixture_of(options: ChatDataOptions, sizes: Mapping[str, int], seed: int) -> MixtureOptions:
    """Weights as they are given, or each source by its sequences."""
    weights = {source.name: float(source.weight or sizes[source.name]) for source in options.sources}
    return MixtureOptions(schedule=(PhaseOptions(at=0, weights=weights),), seed=seed)


def fingerprint(encoded: Iterable[Encoded]) -> str:
    """sha256 of token ids and masks, in their order."""
    digest = hashlib.sha256()
    for one in encoded:
        digest.update(len(one).to_bytes(8, "little") + one.ids_S.tobytes() + one.learned_S.tobytes())
    return digest.hexdigest()


def _shortened(one: Encoded, length: int) -> Encoded | None:
    """Its beginning, if something of it is learned."""
    found = one.cut(length)
    return found if found.learned else None


def _shortened_pair(pair: Pair, length: int) -> Pair | None:
    """Their beginnings, if they still differ."""
    chosen, rejected = _shortened(pair.chosen, length), _shortened(pair.rejected, length)
    if chosen is None or rejected is None or chosen.ids_S.tolist() == rejected.ids_S.tolist():
        return None
    return Pair(chosen, rejected)


def _read(
    options: ChatDataOptions,
    base: Path,
    make: Callable[[Row], T],
    parts: Callable[[T], Sequence[Encoded]],
    shorten: Callable[[T, int], T | None],
) -> ChatData[T]:
    data: ChatData[T] = ChatData()
    validation = options.validation

    def read(name: str, paths: Sequence[str]) -> list[T]:
        counts = data.counts[name] = ChatCounts()
        fitting = _fitting(map(make, rows_of(name, paths, base)), options, counts, shorten)
        kept = []
        for item in fitting:
            kept.append(item)
            counts.conversations += 1
            counts.tokens += sum(map(len, parts(item)))
            counts.learned += sum(part.learned for part in parts(item))
        if not kept:
            raise TrainingError(f"data: '{name}' has nothing to learn from ({counts.dropped:,} too long).")
        return kept

    numbered = None
    if validation is not None and not validation.paths:
        numbered = ValidationOptions(share=validation.share, sequences=validation.conversations, seed=validation.seed)
    for source in options.sources:
        items = read(source.name, source.paths)
        held = set(held_numbers(source.name, len(items), numbered).tolist())
        data.sources[source.name] = [item for number, item in enumerate(items) if number not in held]
        data.held_out += [items[number] for number in sorted(held)]
    if validation is not None and validation.paths:
        data.held_out = read(HELD_OUT, validation.paths)
    if validation is not None and not data.held_out:
        raise TrainingError("data.validation holds out nothing; take a larger share.")
    return data


def _fitting(
    items: Iterable[T], options: ChatDataOptions, counts: ChatCounts, shorten: Callable[[T, int], T | None]
) -> Iterator[T]:
    """Those that the context holds, and what is made of the others.

    Raises:
        TrainingError: one is too long, and that is refused; said at the end, with their number.
    """
    # Targets are one further on than inputs.
    length, first, longest = options.context + 1, "", 0
    for item in items:
        if len(item) <= length:
            yield item
        elif options.too_long == "refuse":
            first, longest = first or item.where, max(longest, len(item))
            counts.dropped += 1
        elif options.too_long == "cut" and (shortened := shorten(item, length)) is not None:
            counts.cut += 1
            yield shortened
        else:
            counts.dropped += 1
    if first:
        raise TrainingError(
            f"{first}: longer than the context of {options.context:,} tokens, the first of {counts.dropped:,} that are "
            f"(the longest has {longest:,}); raise data.context, or say data.too_long: cut or drop."
        )
