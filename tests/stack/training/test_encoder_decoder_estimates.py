"""Estimates of encoder-decoders against torch's own counts, and against what a real step allocates."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from stack.training.test_denoisers import denoising
from stack.training.test_estimates import peak_of
from stack.training.tiny_pretraining import options
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import set_checkpoint_early_stop
from torch.utils.flop_counter import FlopCounterMode

from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
from evalharness.stack.architectures.encoder_decoder_config import EncoderDecoderConfig
from evalharness.stack.training.costs import memory_of, operations_of, random_batch
from evalharness.stack.training.encoder_decoder_batches import Apart, EncoderDecoderBatch
from evalharness.stack.training.encoder_decoder_estimates import pair_memory, pair_operations
from evalharness.stack.training.encoder_decoder_model import EncoderDecoderTrainingModel, hidden_states, run, run_again
from evalharness.stack.training.estimates import keys_seen, parameters_by_part
from evalharness.stack.training.groups import DEFAULT_RULES

T5 = EncoderDecoderConfig(
    vocab_size=512, width=64, encoder_layers=3, decoder_layers=2, heads=4, head_dim=24, ffn_width=192
)
V11 = dataclasses.replace(T5, feed_forward="geglu_tanh", tied_embeddings=False, scaled_outputs=False)
KINDS = pytest.mark.parametrize("config", [T5, V11], ids=["v1.0", "v1.1"])
SEQUENCES, READ, SAID = 8, 48, 32


def on_meta(config: EncoderDecoderConfig) -> EncoderDecoder:
    with torch.device("meta"):
        return EncoderDecoder(config)


def a_batch() -> EncoderDecoderBatch:
    read, said = torch.zeros(SEQUENCES, READ, dtype=torch.long), torch.zeros(SEQUENCES, SAID, dtype=torch.long)
    return EncoderDecoderBatch(read, read.int(), said, said, said + 1.0, said.int())


@KINDS
def test_every_parameter_is_of_a_part(config: EncoderDecoderConfig) -> None:
    counts = parameters_by_part(on_meta(config))
    assert counts["other"] == 0
    assert counts["attention"] == (3 + 2 * 2) * 4 * 64 * 4 * 24
    assert sum(counts.values()) == sum(parameter.numel() for parameter in on_meta(config).parameters())


@KINDS
@pytest.mark.parametrize("recompute", [False, True])
def test_operations_are_those_that_torch_counts(config: EncoderDecoderConfig, recompute: bool) -> None:
    model, counter = EncoderDecoder(config), FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH), set_checkpoint_early_stop(False):
        hidden = hidden_states(model, a_batch(), model.embedding, run_again if recompute else run)
        F.linear(hidden, model.head.weight).sum().backward()  # type: ignore[arg-type]
    found = pair_operations(on_meta(config), READ, SAID, recompute=recompute)
    # torch's plain attention multiplies all of a sequence, whatever the mask.
    unseen = 4 * config.decoder_layers * config.heads * config.head_dim * SAID * (SAID - keys_seen(SAID, None))
    assert counter.get_total_flops() == SEQUENCES * (found.needed + found.recomputed + unseen * (4 if recompute else 3))
    assert bool(found.recomputed) == recompute


@pytest.mark.parametrize(
    ("config", "dtype", "recompute"),
    [(T5, torch.float32, False), (T5, torch.bfloat16, True), (V11, torch.bfloat16, False), (V11, torch.float32, True)],
    ids=["v1.0", "v1.0 in bf16, again", "v1.1 in bf16", "v1.1 again"],
)
def test_memory_is_what_a_step_allocates(config: EncoderDecoderConfig, dtype: torch.dtype, recompute: bool) -> None:
    model = EncoderDecoder(config)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    trained, batch = EncoderDecoderTrainingModel(model, dtype=dtype, recompute=recompute), a_batch()
    trained(batch)[0].backward()  # what torch prepares once is not counted
    measured = peak_of(lambda: trained(batch)[0].backward())
    told = pair_memory(
        on_meta(config), DEFAULT_RULES, sequences=SEQUENCES, read=READ, said=SAID, dtype=dtype, recompute=recompute
    )
    share = (told.activations + told.loss + told.working) / measured
    assert 0.85 < share < (1.25 if recompute else 1.1)
    assert told.weights == sum(parameter.numel() * 4 for parameter in model.parameters())


def test_sides_are_those_of_the_objective() -> None:
    """A token of the text costs its share of what both sides of it cost."""
    given, objective = options(data={"context": 511}), Apart(denoising(), 0)
    model = on_meta(T5)
    pair = pair_operations(model, 511, 113)
    assert operations_of(model, given, objective).matrices == round(pair.matrices / 511)
    batch = random_batch(model, given, objective, 2)
    assert isinstance(batch, EncoderDecoderBatch)
    assert (batch.read_BS.shape, batch.targets_BT.shape) == ((2, 511), (2, 113))
    needed = memory_of(model, given, objective, 2, "cpu")
    assert needed == pair_memory(model, given.optimizer, sequences=2, read=511, said=113)
