"""The families that the decoder covers, by Hugging Face's ``model_type``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalharness.stack.architectures.composed import COMPOSED, check_parts
from evalharness.stack.architectures.families.bloom import BLOOM
from evalharness.stack.architectures.families.falcon import FALCON
from evalharness.stack.architectures.families.family import Family
from evalharness.stack.architectures.families.gpt2 import GPT2
from evalharness.stack.architectures.families.llama import LLAMA, MISTRAL, QWEN2, QWEN3
from evalharness.stack.architectures.families.mixtral import MIXTRAL
from evalharness.stack.architectures.families.neox import NEOX
from evalharness.stack.architectures.families.opt import OPT
from evalharness.stack.architectures.families.values import Values
from evalharness.stack.config import ModelConfig
from evalharness.stack.errors import CheckpointError

FAMILIES: dict[str, Family] = {
    "llama": LLAMA,
    "mistral": MISTRAL,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "mixtral": MIXTRAL,
    "gpt2": GPT2,
    "gpt_neox": NEOX,
    "opt": OPT,
    "bloom": BLOOM,
    "falcon": FALCON,
}
"""A model whose parts several have is written as the first of them."""


def config_from_hub(values: Mapping[str, Any], where: str) -> ModelConfig:
    """The configuration that a ``config.json`` describes; `where` names it in errors.

    Raises:
        CheckpointError: an architecture, an option or a scaling that the decoder does not cover, or a missing key.
    """
    name = values.get("model_type")
    if name not in FAMILIES:
        raise CheckpointError(f"{where}: the architecture '{name}' is not known; known: {', '.join(FAMILIES)}.")
    try:
        config = FAMILIES[name].read(Values(values, where))
    except KeyError as error:
        raise CheckpointError(f"{where}: the key {error} is missing; it is not a complete configuration.") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{where}: a value has the wrong type ({error}).") from None
    check_parts(config, where)
    return config


def hub_config(config: ModelConfig, dtype: str) -> dict[str, Any]:
    """The ``config.json`` that `config_from_hub` and transformers read back as `config`."""
    family = FAMILIES[config.architecture]
    described = {"architectures": [family.class_name], "model_type": config.architecture}
    return described | family.write(config) | {"dtype": dtype}


def architecture_of(config: ModelConfig) -> str:
    """The family that has exactly these parts, so that its layout says them all; else ``composed``."""
    return next((name for name, family in FAMILIES.items() if family.covers(config)), COMPOSED)
