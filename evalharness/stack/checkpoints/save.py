"""Writes a model as a folder: in its family's layout, which other programs load, or else in that of composed models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.stack.architectures.composed import COMPOSED, composed_to_json
from evalharness.stack.architectures.families.known import FAMILIES, architecture_of, hub_config
from evalharness.stack.checkpoints.huggingface import write_files
from evalharness.stack.checkpoints.layouts import in_layout
from evalharness.stack.config import AnyConfig, ModelConfig
from evalharness.stack.tokenization.text import TextTokenizer

if TYPE_CHECKING:
    from torch import Tensor


def save_model(folder: Path, config: AnyConfig, weights: Mapping[str, Tensor], tokenizer: TextTokenizer | None) -> None:
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
    composed = isinstance(config, ModelConfig) and config.architecture == COMPOSED
    values = composed_to_json(config) if composed else hub_config(config, dtype)  # type: ignore[arg-type]

    def stored(tensors: Mapping[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
        return tensors.items() if composed else in_layout(config, tensors)

    shapes = {name: tensor.to("meta") for name, tensor in untied.items()}
    write_files(folder, config, values, dict(stored(shapes)), stored(untied), tokenizer)


def with_family(config: AnyConfig) -> AnyConfig:
    """The configuration under the name of the family whose parts it has, if it does not have one yet."""
    if config.architecture in FAMILIES or not isinstance(config, ModelConfig):
        return config
    return replace(config, architecture=architecture_of(config))
