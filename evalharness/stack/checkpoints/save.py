"""Writes a model as a folder: in its family's layout, which other programs load, or else in that of composed models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalharness.stack.architectures.composed import COMPOSED, composed_to_json
from evalharness.stack.architectures.families import FAMILIES, GATES, hub_config, tensor_names
from evalharness.stack.checkpoints.huggingface import write_files
from evalharness.stack.config import ModelConfig, NTKScaling
from evalharness.stack.tokenization.text import TextTokenizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def save_model(
    folder: Path, config: ModelConfig, weights: Mapping[str, Tensor], tokenizer: TextTokenizer | None
) -> None:
    """Write ``config.json``, ``model.safetensors``, ``generation_config.json`` and the tokenizer's files into a folder
    that is there; `open_checkpoint` reads it, and transformers where the parts are a family's (`architecture_of`).

    `weights` are the model's ``state_dict()``, of one type of numbers.
    """
    config = with_family(config)
    names, values = layout(config, next(iter(weights.values())).dtype)
    tensors = {
        names.get(name, name): tensor.detach().contiguous()
        for name, tensor in weights.items()
        if not (name == "head.weight" and config.tied_embeddings)
    }
    write_files(folder, config, values, tensors, tokenizer)


def with_family(config: ModelConfig) -> ModelConfig:
    """The configuration under the name of the family whose parts it has, if it does not have one yet."""
    return config if config.architecture in FAMILIES else replace(config, architecture=architecture_of(config))


def architecture_of(config: ModelConfig) -> str:
    """The family that has exactly these parts, so that its layout says them all; else ``composed``."""
    common = (
        config.norm == "rms_norm"
        and config.residual == "pre"
        and config.feed_forward in GATES.values()
        and not config.ffn_bias
        and config.positions == "rope"
        and config.rotary_dim in (None, config.head_dim)
        and not isinstance(config.rope_scaling, NTKScaling)
    )
    windows = {config.window(layer) for layer in range(config.layers)}
    biases = (config.qkv_bias, config.output_bias)
    if not common or len(windows - {None}) > 1:
        return COMPOSED
    if config.qk_norm:
        return "qwen3" if biases in ((False, False), (True, True)) else COMPOSED
    if biases == (True, False):
        return "qwen2"
    if windows == {None}:
        # transformers refuses a Llama whose heads do not divide its width.
        return "llama" if biases[0] == biases[1] and config.width % config.heads == 0 else COMPOSED
    return "mistral" if biases == (False, False) and None not in windows else COMPOSED


def layout(config: ModelConfig, dtype: torch.dtype) -> tuple[dict[str, str], dict[str, Any]]:
    """Of the layout that `architecture` names: what it calls our tensors, where that is another name, and its
    ``config.json``."""
    if config.architecture == COMPOSED:
        return {}, composed_to_json(config)
    names = {ours: hub for ours, hub, _ in tensor_names(config)}
    return names, hub_config(config, str(dtype).removeprefix("torch."))
