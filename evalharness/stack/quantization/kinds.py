"""The kinds of small weights that the engine multiplies by, as far as they are told without torch."""

from __future__ import annotations

from typing import Literal, get_args

from evalharness.stack.config import ModelConfig

Weights = Literal["int8", "int4"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)

GROUP = 32
"""Columns of a group of four bits, as the formats of GGUF files have them, whose numbers are then nearly kept."""


def undivided(config: ModelConfig) -> int | None:
    """Inputs of a product of the model that groups of four bits do not divide; None where they divide all."""
    widths = [config.width, config.heads * config.head_dim, config.ffn_width, config.embedding_width or GROUP]
    return next((width for width in widths if width % GROUP), None)
