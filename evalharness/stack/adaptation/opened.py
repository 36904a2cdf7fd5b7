"""What a fine-tuning begins with, before any weight is read: tokenizer, data, and the number of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.stack.adaptation.batches import packed
from evalharness.stack.adaptation.chat import ChatEncoder, Encoded
from evalharness.stack.adaptation.data import ChatCounts, fingerprint, read_conversations, read_pairs
from evalharness.stack.adaptation.options import FinetuneOptions
from evalharness.stack.adaptation.templates import template_source
from evalharness.stack.architectures.families.known import FAMILIES, runs_in_loop
from evalharness.stack.checkpoints.load import Checkpoint, open_checkpoint
from evalharness.stack.config import ModelConfig
from evalharness.stack.errors import TrainingError
from evalharness.stack.tokenization.text import TextTokenizer
from evalharness.stack.training.schedules import check_batch, rate_factor


@dataclass(frozen=True, slots=True)
class Opened:
    """A fine-tuning without its model."""

    options: FinetuneOptions
    """With the number of steps, where epochs were asked for."""
    checkpoint: Checkpoint
    config: ModelConfig
    tokenizer: TextTokenizer
    """With the template that conversations are written by."""
    sources: dict[str, list[Any]]
    """What is learned at once, by source: conversations of one sequence, or a pair."""
    held_out: list[Any]
    counts: dict[str, ChatCounts]
    fingerprint: str
    """Of the data, as token ids and masks."""

    def told(self) -> list[str]:
        """What was read, a sentence for each source."""
        what = "pairs" if self.options.objective.name == "dpo" else "conversations"
        return [self._told(name, what) for name in self.counts]

    def _told(self, name: str, what: str) -> str:
        counts = self.counts[name]
        said = (
            f"{name}: {counts.conversations:,} {what} of {counts.tokens:,} tokens, {counts.learned:,} of them learned"
        )
        if name in self.sources and what == "conversations":
            said += f", in {len(self.sources[name]):,} sequences"
        if counts.cut or counts.dropped:
            said += f"; {counts.cut:,} were cut, and {counts.dropped:,} left out, as too long"
        return f"{said}."


def open_finetuning(options: FinetuneOptions, start: Path, base: Path, processes: int = 1) -> Opened:
    """Read the data of a fine-tuning of the model in `start`.

    Raises:
        TrainingError, CheckpointError: options, model and data do not go together, or a row is wrong.
    """
    check_batch(options.batch, processes)
    checkpoint = open_checkpoint(start)
    config, context = checkpoint.config, options.data.context
    if not isinstance(config, ModelConfig) or runs_in_loop(config):
        raise TrainingError(
            f"model: {start} is of the family {FAMILIES[config.architecture].title}; decoders are tuned."
        )
    if context > config.max_length:
        raise TrainingError(
            f"data.context is {context:,}, and {checkpoint.name} was made for at most {config.max_length:,} tokens."
        )
    tokenizer = _with_template(checkpoint.tokenizer(), options.template, base)
    assert tokenizer.chat_template is not None
    encode = ChatEncoder(tokenizer, tokenizer.chat_template, options.objective.answers or "all")
    sources: dict[str, list[Any]]
    held_out: list[Any]
    if options.objective.name == "dpo":
        encode = ChatEncoder(tokenizer, tokenizer.chat_template, "last")
        pairs = read_pairs(options.data, base, encode)
        encoded = [answer for pair in pairs.items() for answer in pair.answers]
        sources, held_out, counts = dict(pairs.sources), list(pairs.held_out), pairs.counts
    else:
        chats = read_conversations(options.data, base, encode)
        encoded = chats.items()
        sources = {name: _sequences(items, options) for name, items in chats.sources.items()}
        held_out, counts = _sequences(chats.held_out, options), chats.counts
    _require_vocabulary(encoded, config, start)
    options = _with_steps(options, sum(map(len, sources.values())))
    if options.validate_sequences is not None and options.validate_sequences > len(held_out):
        raise TrainingError(
            f"validate_sequences is {options.validate_sequences:,}, but {len(held_out):,} are held out; hold out more "
            "(data.validation), or take fewer."
        )
    return Opened(options, checkpoint, config, tokenizer, sources, held_out, counts, fingerprint(encoded))


def _sequences(conversations: Sequence[Encoded], options: FinetuneOptions) -> list[tuple[Encoded, ...]]:
    if options.data.packing == "none":
        return [(each,) for each in conversations]
    return packed(conversations, options.data.context + 1)


def _with_steps(options: FinetuneOptions, sequences: int) -> FinetuneOptions:
    steps = options.steps or max(1, round((options.epochs or 0) * sequences / options.batch.sequences))
    rate_factor(options.schedule, 0, steps)
    return options.model_copy(update={"steps": steps, "epochs": None})


def _with_template(tokenizer: TextTokenizer, name: str, base: Path) -> TextTokenizer:
    return TextTokenizer(
        tokenizer.tokenizer,
        special_tokens=tokenizer.special_tokens,
        add_bos=tokenizer.add_bos,
        chat_template=template_source(name, tokenizer, base),
    )


def _require_vocabulary(encoded: Sequence[Encoded], config: ModelConfig, start: Path) -> None:
    for one in encoded:
        if (largest := int(one.ids_S.max())) >= config.vocab_size:
            raise TrainingError(
                f"{one.where}: the tokenizer makes the id {largest:,} of it, and {start} has {config.vocab_size:,}; "
                "give the model its own tokenizer."
            )
