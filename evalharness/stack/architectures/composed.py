"""``config.json`` of a model whose parts are no family's: every field of `ModelConfig` as it is called here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from evalharness.stack.config import LinearScaling, Llama3Scaling, ModelConfig, NTKScaling, YarnScaling
from evalharness.stack.errors import CheckpointError

MODEL_TYPE = "evalharness"
"""The ``model_type`` in a composed model's ``config.json``."""
COMPOSED = "composed"
"""The `architecture` of such a model."""
SCALINGS = {"linear": LinearScaling, "ntk": NTKScaling, "yarn": YarnScaling, "llama3": Llama3Scaling}
"""Scalings of rotary frequencies by name."""


def composed_to_json(config: ModelConfig) -> dict[str, Any]:
    """The ``config.json`` that `composed_from_json` reads back."""
    values = asdict(config)
    if config.rope_scaling is not None:
        kind = next(name for name, kind in SCALINGS.items() if isinstance(config.rope_scaling, kind))
        values["rope_scaling"] = {"kind": kind} | values["rope_scaling"]
    return {"model_type": MODEL_TYPE} | values


def composed_from_json(values: Mapping[str, Any], where: str) -> ModelConfig:
    """The configuration that a composed model's ``config.json`` holds; `where` names it in errors.

    Raises:
        CheckpointError: a key is missing or unknown, or a part has a name that is not known.
    """
    known = {field.name for field in fields(ModelConfig)}
    told = {key: value for key, value in values.items() if key != "model_type"}
    if unknown := sorted(told.keys() - known):
        raise CheckpointError(f"{where}: the key '{unknown[0]}' is not known; this version may be too old for it.")
    try:
        if told.get("rope_scaling") is not None:
            scaling = dict(told["rope_scaling"])
            told["rope_scaling"] = SCALINGS[scaling.pop("kind")](**scaling)
        for key in ("windows", "eos_ids"):
            told[key] = tuple(told.get(key, ()))
        config = ModelConfig(**told)
    except (TypeError, KeyError) as error:
        raise CheckpointError(f"{where}: not a complete configuration ({error}).") from None
    check_parts(config, where)
    return config


def check_parts(config: ModelConfig, where: str) -> None:
    """See that every part is known and that the sizes go together.

    Raises:
        CheckpointError: a name that is not known, or sizes that do not divide.
    """
    from evalharness.stack.architectures.blocks import BLOCKS
    from evalharness.stack.layers.feedforward import FEED_FORWARDS
    from evalharness.stack.layers.norms import NORMS
    from evalharness.stack.layers.positions import POSITIONS

    parts: dict[str, Mapping[str, Any]] = {
        "norm": NORMS,
        "residual": BLOCKS,
        "feed_forward": FEED_FORWARDS,
        "positions": POSITIONS,
    }
    for key, names in parts.items():
        if getattr(config, key) not in names:
            raise CheckpointError(f"{where}: no {key} is called '{getattr(config, key)}'; known: {', '.join(names)}.")
    if config.heads % config.kv_heads:
        raise CheckpointError(
            f"{where}: {config.heads} query heads cannot share {config.kv_heads} key heads evenly; give a kv_heads "
            "that divides heads."
        )
    turned = config.rotary_dim or config.head_dim
    if config.positions in ("rope", "xpos") and (turned % 2 or turned > config.head_dim):
        raise CheckpointError(
            f"{where}: {turned} numbers of a head of {config.head_dim} cannot be turned in pairs; give an even number "
            "of at most head_dim."
        )
    if config.windows and len(config.windows) != config.layers:
        raise CheckpointError(f"{where}: {len(config.windows)} windows for {config.layers} layers; give one for each.")
