"""What a training of an encoder-decoder will take."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
from evalharness.stack.training.estimates import Memory, Operations, keys_seen, memory_with
from evalharness.stack.training.groups import OptimizerRule
from evalharness.stack.training.saved import encoder_decoder_activations


def pair_operations(model: EncoderDecoder, read: int, said: int, *, recompute: bool = False) -> Operations:
    """Additions and multiplications for a sequence of which the encoder reads `read` tokens and the decoder says
    `said`, forward and backward, counted as `estimates.Operations` says."""
    config = model.config
    crossed = sum(
        _numbers(part) for name, part in model.decoder.named_modules() if name.endswith("cross_attention.key_value")
    )
    encoder = _numbers(model.encoder.blocks) * read + crossed * read
    decoder = (_numbers(model.decoder.blocks) - crossed) * said
    keys = config.encoder_layers * read * read + config.decoder_layers * said * (keys_seen(said, None) + read)
    attention = config.heads * config.head_dim * keys
    again = 2 * (encoder + decoder - crossed * read) + 4 * attention if recompute else 0
    head = model.embedding.weight.numel() * said
    return Operations(6 * (encoder + decoder + head), round(12 * attention), round(again))


def pair_memory(
    model: EncoderDecoder,
    rules: Sequence[OptimizerRule],
    *,
    sequences: int,
    read: int,
    said: int,
    dtype: torch.dtype = torch.float32,
    recompute: bool = False,
    device: str = "cpu",
) -> Memory:
    """For micro-batches of `sequences`; the arguments are those of `estimates.memory`.

    Raises:
        TrainingError: rules and parameters do not go together.
    """
    saved = encoder_decoder_activations(model.config, sequences, read, said, dtype, recompute=recompute)
    return memory_with(model, rules, saved, rows=sequences * said, dtype=dtype, device=device)


def _numbers(part: nn.Module) -> int:
    """In matrices."""
    return sum(weight.numel() for weight in part.parameters() if weight.dim() >= 2)
