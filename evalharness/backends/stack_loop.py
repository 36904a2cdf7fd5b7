"""The stack's models that the engine does not serve: what is told of them, and their plain loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalharness.errors import UsageError

if TYPE_CHECKING:
    import torch

    from evalharness.stack.checkpoints.load import Checkpoint
    from evalharness.stack.plain.runner import PlainLoop
    from evalharness.stack.tokenization.text import TextTokenizer


def refuse_options_of_engine(
    name: str, *, exact: bool, batch_tokens: int | None, kv_memory: float | None, weights: str | None
) -> None:
    """Refuse what only the engine can do.

    Raises:
        UsageError: an option that is the engine's was given.
    """
    given = {
        "--numerics exact": exact,
        "--batch-tokens": batch_tokens is not None,
        "--kv-memory": kv_memory is not None,
        "--weights": weights is not None,
    }
    if options := [option for option, there in given.items() if there]:
        raise UsageError(
            f"{options[0]}: {name} runs in the plain loop, and this is an option of the engine; leave it out "
            "(evalharness models says what runs where)."
        )


def in_loop(checkpoint: Checkpoint) -> bool:
    """Whether the plain loop serves the model."""
    from evalharness.stack.architectures.families.known import runs_in_loop

    return runs_in_loop(checkpoint.config)


def reaches_further(checkpoint: Checkpoint) -> bool:
    """Whether the model takes longer sequences than it was made for."""
    from evalharness.stack.architectures.families.known import FAMILIES

    family = FAMILIES.get(checkpoint.config.architecture)
    return family is not None and family.endless


def encodes(checkpoint: Checkpoint) -> bool:
    """Whether the model is an encoder-decoder."""
    from evalharness.stack.architectures.encoder_decoder_config import EncoderDecoderConfig

    return isinstance(checkpoint.config, EncoderDecoderConfig)


def plain_loop(
    checkpoint: Checkpoint, tokenizer: TextTokenizer, dtype: torch.dtype, device: torch.device, max_length: int
) -> PlainLoop[Any]:
    """The loop around a checkpoint's weights."""
    from evalharness.stack.checkpoints.load import build_plain
    from evalharness.stack.plain.runner import PlainLoop

    model = build_plain(checkpoint, dtype, device)
    model.pack()
    end = _end_of_prompt(tokenizer) if model.speaks_apart else ()
    return PlainLoop(model, tokenizer.decode, max_length=max_length, prompt_end=end)


def _end_of_prompt(tokenizer: TextTokenizer) -> tuple[int, ...]:
    """The EOS that an encoder's tokenizer puts behind a text, if it does."""
    last = tokenizer.tokenizer.encode("a", add_special_tokens=True).ids[-1:]
    return (tokenizer.eos_id,) if tokenizer.eos_id is not None and last == [tokenizer.eos_id] else ()
