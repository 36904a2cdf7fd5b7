"""Writes a model as a folder: in its family's layout, which other programs load, or else in that of composed models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.stack.architectures.composed import COMPOSED, composed_to_json
from evalharness.stack.architectures.families.known import FAMILIES, architecture_of, hub_config
from evalharness.stack.checkpoints.huggingface import write_files
from evalharness.stack.checkpoints.layouts import in_layout
from evalharness.stack.config import ModelConfig
from evalharness.stack.tokenization.text import TextTokenizer

if TYPE_CHECKING:
    from torch import Tensor


def save_model(
    folder: Path, config: ModelConfig, weights: Mapping[str, Tensor], tokenizer: TextTokenizer | None
) -> None:
    """Write ``config.json``, ``model.safetensors``, ``generation_config.json`` and the tokenizer's files into a folder
    that is there; `open_checkpoint` reads it, and transformers where the parts are a family's (`architecture_of`).

    `weights` are the model's ``state_dict()``, of one type of numbers.
    """
    config = with_family(config)
    dtype = str(next(iter(weights.values())).dtype).removeprefix("torch.")
    untied = {
        name: tensor.detach()
        for name, tensor in weights.items()
        if not (name == "head.weight" and config.tied_embeddings)
    }
    composed = config.architecture == COMPOSED
    values = composed_to_json(config) if composed else hub_config(config, dtype)
    tensors = untied if composed else in_layout(config, untied)
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_files(folder, config, values, contiguous, tokenizer)


def with_family(config: ModelConfig) -> ModelConfig:
    """The configuration under the name of the family whose parts it has, if it does not have one yet."""
    return config if config.architecture in FAMILIES else replace(config, architecture=architecture_of(config))
