"""Weights that a training begins with."""

from __future__ import annotations

import torch

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.layers.norms import LayerNorm, RMSNorm

ENDS = ("attention.output", ".down")
"""What a block adds to the stream comes out of these."""


def initialize(model: Decoder, seed: int, deviation: float = 0.02) -> None:
    """Draw every matrix from a normal distribution with `deviation`; biases are 0, norms 1.

    The matrices that add to the stream are smaller by ``sqrt(2 layers)`` (GPT-2). For `deepnorm` it is Xavier's normal
    distribution, times ``(8 layers)^(-1/4)`` for feed-forward layers, values and attention's output (Wang et al. 2022,
    arXiv:2203.00555, figure 2). Numbers are drawn on the CPU, in the order of the names, so that every device begins
    alike.
    """
    config = model.config
    random = torch.Generator().manual_seed(seed)
    norms = {name for name, module in model.named_modules() if isinstance(module, RMSNorm | LayerNorm)}
    for name, parameter in sorted(model.named_parameters()):
        part, _, kind = name.rpartition(".")
        if part in norms:
            parameter.data.fill_(1.0 if kind == "weight" else 0.0)
        elif parameter.dim() < 2:
            parameter.data.zero_()
        else:
            times = deviation
            if config.residual == "deepnorm" and part.startswith("blocks."):
                times = (2 / sum(parameter.shape)) ** 0.5
                if "feed_forward" in part or part.endswith(("qkv.value", "attention.output")):
                    times *= (8 * config.layers) ** -0.25
            elif part.endswith(ENDS):
                times /= (2 * config.layers) ** 0.5
            drawn = torch.randn(parameter.shape, generator=random) * times
            parameter.data.copy_(drawn)
