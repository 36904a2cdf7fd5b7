"""Rotary positions as the families' ``config.json`` files say them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalharness.stack.architectures.families.values import Values, positive, whole
from evalharness.stack.config import (
    LinearScaling,
    Llama3Scaling,
    ModelConfig,
    NTKScaling,
    RopeScaling,
    YarnScaling,
)
from evalharness.stack.errors import CheckpointError


def rope_of(values: Values) -> Mapping[str, Any]:
    """transformers 5 has one key ``rope_parameters``; before, base and scaling had a key each.

    Raises:
        CheckpointError: it is no mapping.
    """
    told = values.get("rope_parameters") or values.get("rope_scaling") or {}
    if not isinstance(told, Mapping):
        raise CheckpointError(f"{values.where}: the RoPE scaling is {told!r:.40}, but it must be a mapping.")
    if values.get("rope_parameters"):
        return told
    base = {"rope_theta": values.get("rope_theta")} if values.has("rope_theta") else {}
    return base | dict(told)


def theta_of(rope: Mapping[str, Any], where: str, default: float = 10_000.0) -> float:
    """The base."""
    return positive(rope.get("rope_theta", default), "rope_theta", where)


def scaling_from_hub(rope: Mapping[str, Any], values: Values, longest: int) -> RopeScaling | None:
    """How frequencies are stretched; `longest` is the length of sequences where the first one is not said.

    Raises:
        CheckpointError: a kind or an option that is not covered, or a number that is none.
        KeyError: a number is missing.
    """
    where = values.where

    def number(key: str, default: float | None = None) -> float:
        return positive(rope[key] if default is None else rope.get(key) or default, key, where)

    original = whole(rope.get("original_max_position_embeddings") or longest, "original_max_position_embeddings", where)
    match rope.get("rope_type", rope.get("type", "default")):
        case "default":
            return None
        case "linear":
            return LinearScaling(factor=number("factor"))
        case "llama3":
            return Llama3Scaling(
                factor=number("factor"),
                low_frequency_factor=number("low_freq_factor"),
                high_frequency_factor=number("high_freq_factor"),
                original_length=original,
            )
        case "yarn":
            for key in ("attention_factor", "mscale", "mscale_all_dim"):
                if rope.get(key) is not None:
                    raise CheckpointError(f"{where}: '{key}' of the RoPE scaling 'yarn' is not covered.")
            if not rope.get("truncate", True):
                raise CheckpointError(f"{where}: the RoPE scaling 'yarn' without 'truncate' is not covered.")
            return YarnScaling(
                factor=number("factor"),
                slow_turns=number("beta_slow", 1.0),
                fast_turns=number("beta_fast", 32.0),
                original_length=original,
            )
        case other:
            known = "default, linear, llama3, yarn"
            raise CheckpointError(f"{where}: the RoPE scaling '{other}' is not known; known: {known}.")


def rope_json(config: ModelConfig) -> dict[str, Any]:
    """The keys that all versions of transformers read.

    Raises:
        CheckpointError: a scaling that has no place in them.
    """
    return {"rope_theta": config.rope_theta, "rope_scaling": scaling_to_hub(config.rope_scaling)}


def scaling_to_hub(scaling: RopeScaling | None) -> dict[str, Any] | None:
    """What `scaling_from_hub` reads back.

    Raises:
        CheckpointError: a scaling that has no place there.
    """
    match scaling:
        case None:
            return None
        case LinearScaling(factor=factor):
            return {"rope_type": "linear", "factor": factor}
        case Llama3Scaling():
            return {
                "rope_type": "llama3",
                "factor": scaling.factor,
                "low_freq_factor": scaling.low_frequency_factor,
                "high_freq_factor": scaling.high_frequency_factor,
                "original_max_position_embeddings": scaling.original_length,
            }
        case YarnScaling():
            return {
                "rope_type": "yarn",
                "factor": scaling.factor,
                "beta_slow": scaling.slow_turns,
                "beta_fast": scaling.fast_turns,
                "original_max_position_embeddings": scaling.original_length,
            }
        case NTKScaling():
            raise CheckpointError("the RoPE scaling 'ntk' has no place in a Hugging Face configuration.")


def has_place(config: ModelConfig) -> bool:
    """Whether a configuration's positions are rotary, with a scaling that Hugging Face's configurations have."""
    return config.positions == "rope" and not isinstance(config.rope_scaling, NTKScaling)


def turns_whole_heads(config: ModelConfig) -> bool:
    return config.rotary_dim in (None, config.head_dim)
