"""Weights that a training begins with."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
from evalharness.stack.layers.norms import LayerNorm, RMSNorm

ENDS = ("attention.output", ".down")
"""What a block adds to the stream comes out of these."""


def initialize(model: Decoder, seed: int, deviation: float = 0.02) -> None:
    """Give a model the values of `initial_weights`."""
    parameters = dict(model.named_parameters())
    for name, values in initial_weights(model, seed, deviation):
        parameters[name].data.copy_(values)


def initial_weights(model: Decoder, seed: int, deviation: float = 0.02) -> Iterator[tuple[str, Tensor]]:
    """Every parameter's name and first values, on the CPU, one after another; the model may be on the meta device.

    Matrices are drawn from a normal distribution with `deviation`; biases are 0, norms 1. The matrices that add to the
    stream are smaller by ``sqrt(2 layers)`` (GPT-2). For `deepnorm` it is Xavier's normal distribution, times ``(8
    layers)^(-1/4)`` for feed-forward layers, values and attention's output (Wang et al. 2022, arXiv:2203.00555, figure
    2). Numbers are drawn on the CPU, in the order of the names, so that every device begins alike.
    """
    config = model.config
    random = torch.Generator().manual_seed(seed)
    norms = {name for name, module in model.named_modules() if isinstance(module, RMSNorm | LayerNorm)}
    for name, parameter in sorted(model.named_parameters()):
        part, _, kind = name.rpartition(".")
        if part in norms:
            yield name, torch.full(parameter.shape, 1.0 if kind == "weight" else 0.0)
        elif parameter.dim() < 2:
            yield name, torch.zeros(parameter.shape)
        else:
            times = deviation
            if config.residual == "deepnorm" and part.startswith("blocks."):
                times = (2 / sum(parameter.shape)) ** 0.5
                if "feed_forward" in part or part.endswith(("qkv.value", "attention.output")):
                    times *= (8 * config.layers) ** -0.25
            elif part.endswith(ENDS):
                times /= (2 * config.layers) ** 0.5
            yield name, torch.randn(parameter.shape, generator=random) * times


def initialize_encoder_decoder(model: EncoderDecoder, seed: int, factor: float = 1.0) -> None:
    """Draw every matrix from a normal distribution; norms are 1.

    As in T5's code, deviations are 1 for the embedding, ``(width D)^(-1/2)`` for queries, since scores of attention are
    not divided by ``sqrt(D)``, and ``inputs^(-1/2)`` for all else, positions as if their inputs were the hidden state;
    all of it times `factor`.
    """
    config = model.config
    random = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        part = name.removesuffix(".weight")
        if parameter.dim() < 2:
            parameter.data.fill_(1.0)
            continue
        inputs = parameter.shape[1]
        if part == "embedding":
            inputs = 1
        elif part.endswith("query"):
            inputs = config.width * config.head_dim
        elif part.endswith("positions"):
            inputs = config.width
        parameter.data.copy_(torch.randn(parameter.shape, generator=random) * factor * inputs**-0.5)
