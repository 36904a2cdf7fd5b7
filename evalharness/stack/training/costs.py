"""What a training will take, whatever its model is made of.

An encoder-decoder reads one part of a sequence and says the other; how large these are in the mean, its objective says.
"""

from __future__ import annotations

import torch

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
from evalharness.stack.architectures.mamba import Mamba
from evalharness.stack.training.data import BatchMaker
from evalharness.stack.training.encoder_decoder_batches import Apart, EncoderDecoderBatch
from evalharness.stack.training.encoder_decoder_estimates import pair_memory, pair_operations
from evalharness.stack.training.estimates import Memory, Operations, memory, memory_with, operations
from evalharness.stack.training.objectives import AnyBatch, Batch
from evalharness.stack.training.options import PretrainOptions
from evalharness.stack.training.saved import mamba_activations

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def operations_of(
    model: Decoder | EncoderDecoder | Mamba, options: PretrainOptions, objective: BatchMaker
) -> Operations:
    """For each token of a sequence."""
    context, recompute = options.data.context, options.compute.recompute == "blocks"
    if not isinstance(model, EncoderDecoder):
        return operations(model, context, recompute=recompute)
    pair = pair_operations(model, *_sides(objective, context), recompute=recompute)
    return Operations(*(round(count / context) for count in (pair.matrices, pair.attention, pair.recomputed)))


def memory_of(
    model: Decoder | EncoderDecoder | Mamba,
    options: PretrainOptions,
    objective: BatchMaker,
    sequences: int,
    device: str,
) -> Memory:
    """For micro-batches of `sequences`.

    Raises:
        TrainingError: rules and parameters do not go together.
    """
    context, recompute = options.data.context, options.compute.recompute == "blocks"
    dtype = DTYPES[options.compute.precision]
    if isinstance(model, Decoder):
        return memory(
            model,
            options.optimizer,
            sequences=sequences,
            length=context,
            dtype=dtype,
            recompute=recompute,
            documents=options.data.boundaries,
            device=device,
        )
    if isinstance(model, Mamba):
        saved = mamba_activations(model.config, sequences, context, dtype, recompute=recompute)
        return memory_with(model, options.optimizer, saved, rows=sequences * context, dtype=dtype, device=device)
    read, said = _sides(objective, context)
    return pair_memory(
        model,
        options.optimizer,
        sequences=sequences,
        read=read,
        said=said,
        dtype=dtype,
        recompute=recompute,
        device=device,
    )


def random_batch(
    model: Decoder | EncoderDecoder | Mamba, options: PretrainOptions, objective: BatchMaker, sequences: int
) -> AnyBatch:
    """A batch of tokens that mean nothing, for a trial."""
    random, context = torch.Generator().manual_seed(0), options.data.context

    def drawn(length: int) -> torch.Tensor:
        return torch.randint(model.config.vocab_size, (sequences, length), generator=random)

    if not isinstance(model, EncoderDecoder):
        ids_BS = drawn(context + 1)
        weights_BT = torch.ones(sequences, context)
        return Batch(ids_BS[:, :-1], ids_BS[:, 1:], weights_BT, torch.arange(context), None, None)
    read, said = _sides(objective, context)
    one, other = (torch.zeros(sequences, length, dtype=torch.int32) for length in (read, said))
    return EncoderDecoderBatch(drawn(read), one, drawn(said), drawn(said), torch.ones(sequences, said), other)


def _sides(objective: BatchMaker, context: int) -> tuple[int, int]:
    assert isinstance(objective, Apart)
    read, said = objective.sides(context)
    return read, max(said, 1)
