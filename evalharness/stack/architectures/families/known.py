"""The families that are covered, by Hugging Face's ``model_type``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from evalharness.stack.architectures.composed import COMPOSED, check_parts
from evalharness.stack.architectures.families.bloom import BLOOM
from evalharness.stack.architectures.families.falcon import FALCON
from evalharness.stack.architectures.families.family import Family, decoder
from evalharness.stack.architectures.families.gpt2 import GPT2
from evalharness.stack.architectures.families.llama import LLAMA, MISTRAL, QWEN2, QWEN3
from evalharness.stack.architectures.families.mamba import MAMBA
from evalharness.stack.architectures.families.mixtral import MIXTRAL
from evalharness.stack.architectures.families.neox import NEOX
from evalharness.stack.architectures.families.opt import OPT
from evalharness.stack.architectures.families.t5 import T5
from evalharness.stack.architectures.families.values import Values
from evalharness.stack.config import AnyConfig, ModelConfig
from evalharness.stack.errors import CheckpointError

if TYPE_CHECKING:
    from torch import nn

FAMILIES: dict[str, Family[Any]] = {
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
    "t5": T5,
    "mamba": MAMBA,
}
"""A model whose parts several have is written as the first of them."""


def config_from_hub(values: Mapping[str, Any], where: str, tensors: Callable[[], Collection[str]] = tuple) -> AnyConfig:
    """The configuration that a ``config.json`` describes; `where` names it in errors, `tensors` those beside it.

    Raises:
        CheckpointError: an architecture, an option or a scaling that is not covered, or a missing key.
    """
    name = values.get("model_type")
    if name not in FAMILIES:
        raise CheckpointError(f"{where}: the architecture '{name}' is not known; known: {', '.join(FAMILIES)}.")
    try:
        config: AnyConfig = FAMILIES[name].read(Values(values, where, tensors))
    except KeyError as error:
        raise CheckpointError(f"{where}: the key {error} is missing; it is not a complete configuration.") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{where}: a value has the wrong type ({error}).") from None
    if isinstance(config, ModelConfig):
        check_parts(config, where)
    return config


def runs_in_loop(config: AnyConfig) -> bool:
    """Whether the plain loop computes it, as the engine does not."""
    return config.architecture in FAMILIES and FAMILIES[config.architecture].runs == "loop"


def new_model(config: AnyConfig) -> nn.Module:
    """A model of the configuration, with numbers that mean nothing."""
    family = FAMILIES.get(config.architecture)
    return decoder(config) if family is None else family.build(config)  # type: ignore[arg-type]


def hub_config(config: AnyConfig, dtype: str) -> dict[str, Any]:
    """The ``config.json`` that `config_from_hub` and transformers read back as `config`."""
    family = FAMILIES[config.architecture]
    described = {"architectures": [family.class_name], "model_type": config.architecture}
    return described | family.write(config) | {"dtype": dtype}


def architecture_of(config: ModelConfig) -> str:
    """The family that has exactly these parts, so that its layout says them all; else ``composed``."""
    return next((name for name, family in FAMILIES.items() if family.covers(config)), COMPOSED)
