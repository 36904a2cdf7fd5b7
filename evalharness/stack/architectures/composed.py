"""``config.json`` of a model whose parts are no family's: every field of `ModelConfig` as it is called here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from evalharness.stack.config import (
    PARTS,
    LinearScaling,
    Llama3Scaling,
    ModelConfig,
    NTKScaling,
    RopeScaling,
    YarnScaling,
)
from evalharness.stack.errors import CheckpointError

T = TypeVar("T")

MODEL_TYPE = "evalharness"
"""The ``model_type`` in a composed model's ``config.json``."""
COMPOSED = "composed"
"""The `architecture` of such a model."""
SCALINGS: dict[str, type[RopeScaling]] = {
    "linear": LinearScaling,
    "ntk": NTKScaling,
    "yarn": YarnScaling,
    "llama3": Llama3Scaling,
}
"""Scalings of rotary frequencies by name."""
ALIBI_LONGEST = 65_536
"""Positions that `alibi` tells apart: 256 times 256, which bf16 holds exactly."""
XPOS_LONGEST = 32_768
"""Positions of `xpos`: its largest number is ``(1.4 / 0.4)^(p / 512)``, and fp32 ends near p = 36,000."""
SIZES = ("vocab_size", "width", "layers", "heads", "kv_heads", "head_dim", "ffn_width", "max_length")


def composed_to_json(config: ModelConfig) -> dict[str, Any]:
    """The ``config.json`` that `composed_from_json` reads back."""
    values = asdict(config)
    del values["architecture"]
    if config.rope_scaling is not None:
        kind = next(name for name, kind in SCALINGS.items() if isinstance(config.rope_scaling, kind))
        values["rope_scaling"] = {"kind": kind} | values["rope_scaling"]
    return {"model_type": MODEL_TYPE} | values


def composed_from_json(values: Mapping[str, Any], where: str) -> ModelConfig:
    """The configuration that a composed model's ``config.json`` holds; `where` names it in errors.

    Raises:
        CheckpointError: a key is missing, unknown or of the wrong type, or a part has a name that is not known.
    """
    told = {key: value for key, value in values.items() if key != "model_type"}
    if told.get("rope_scaling") is not None:
        scaling = dict(told["rope_scaling"]) if isinstance(told["rope_scaling"], Mapping) else {}
        kind = str(scaling.pop("kind", ""))
        if kind not in SCALINGS:
            raise CheckpointError(f"{where}: {unknown_name('rope_scaling', kind, SCALINGS)}")
        told["rope_scaling"] = _validated(SCALINGS[kind], scaling, f"{where}, rope_scaling")
    if "architecture" in told:
        raise CheckpointError(f"{where}: the key 'architecture' is not known; model_type says what the folder holds.")
    config = _validated(ModelConfig, told, where)
    check_parts(config, where)
    return config


def _validated(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """A dataclass of its fields' values.

    Raises:
        CheckpointError: a key is missing, unknown or of the wrong type.
    """
    from pydantic import TypeAdapter, ValidationError

    if unknown := sorted(values.keys() - {field.name for field in fields(kind)}):  # type: ignore[arg-type]
        raise CheckpointError(f"{where}: the key '{unknown[0]}' is not known; this version may be too old for it.")
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        fault = error.errors()[0]
        missing = "missing" in fault["type"]
        said = "is missing; it is not a complete configuration" if missing else f"has a wrong value: {fault['msg']}"
        raise CheckpointError(f"{where}: the key '{fault['loc'][0]}' {said}.") from None


# --------------------------------------------------------------------------- what goes together


def check_parts(config: ModelConfig, where: str) -> None:
    """See that every part is known and that the sizes go together.

    Raises:
        CheckpointError: the first fault of `faults`.
    """
    for fault in faults(config):
        raise CheckpointError(f"{where}: {fault}")


def faults(config: ModelConfig) -> Iterator[str]:
    """What is wrong with a configuration, a sentence each: names that are not known, sizes that do not divide,
    positions that do not reach to the longest sequence."""
    for key, names in PARTS.items():
        name = getattr(config, key)
        if name not in names:
            yield unknown_name(key, name, names)
    for key in (*SIZES, "experts", "embedding_width"):
        if getattr(config, key) is not None and getattr(config, key) < 1:
            yield f"{key} is {getattr(config, key)}; give a whole number of at least 1."
            return
    if config.heads % config.kv_heads:
        yield (
            f"{config.heads} query heads cannot share {config.kv_heads} key heads evenly; give a kv_heads that "
            "divides heads."
        )
    if config.windows and len(config.windows) != config.layers:
        yield f"{len(config.windows)} windows for {config.layers} layers; give one for each."
    if config.experts is not None and not 1 <= config.experts_per_token <= config.experts:
        yield f"experts_per_token is {config.experts_per_token}; give a number from 1 to experts, {config.experts}."
    if any(window is not None and window < 1 for window in config.windows):
        yield "a window is below 1; a token sees at least itself."
    yield from _position_faults(config)


def _position_faults(config: ModelConfig) -> Iterator[str]:
    rotary = config.positions in ("rope", "xpos")
    turned = config.head_dim if config.rotary_dim is None else config.rotary_dim
    if rotary and (turned % 2 or not 0 < turned <= config.head_dim):
        yield (
            f"{turned} numbers of a head of {config.head_dim} cannot be turned in pairs; give an even rotary_dim of at "
            "most head_dim."
        )
    if rotary and config.rope_theta <= 1:
        yield f"rope_theta is {config.rope_theta:g}; give a number above 1."
    match config.rope_scaling:
        case Llama3Scaling(low_frequency_factor=low, high_frequency_factor=high) if low >= high:
            yield f"rope_scaling has a low_frequency_factor of {low:g}, which must be below its high one, {high:g}."
        case YarnScaling(slow_turns=slow, fast_turns=fast) if slow >= fast:
            yield f"rope_scaling has slow_turns of {slow:g}, which must be below its fast_turns, {fast:g}."
    if config.rope_scaling is not None and config.rope_scaling.factor <= 0:
        yield f"rope_scaling has a factor of {config.rope_scaling.factor:g}; give a number above 0."
    if rotary and turned < 4 and isinstance(config.rope_scaling, NTKScaling):
        yield f"the scaling ntk needs at least 4 numbers of a head that are turned, not {turned}."
    if not rotary and (config.rotary_dim is not None or config.rope_scaling is not None):
        yield f"rotary_dim and rope_scaling are for the positions rope and xpos, not '{config.positions}'."
    if config.positions == "alibi_rounded" and config.kv_heads != config.heads:
        yield f"the positions 'alibi_rounded' need a key head for each of the {config.heads} query heads."
    longest = {"xpos": XPOS_LONGEST, "alibi": ALIBI_LONGEST}.get(config.positions)
    if longest is not None and config.max_length > longest:
        yield f"the positions '{config.positions}' reach to {longest:,} tokens, not {config.max_length:,}."


def unknown_name(key: str, name: str, known: Iterable[str]) -> str:
    """A sentence about a name that none of `known` is, with the closest of them."""
    names = list(known)
    close = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=0.5)
    meant = f"did you mean '{close[0]}'? Known" if close else "known"
    return f"no {key} is called '{name}'; {meant}: {', '.join(names)}."
