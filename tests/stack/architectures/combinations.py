"""Small models of every choice of parts, and sets of them that hold every pair or every three of choices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations, product
from typing import Any

from evalharness.stack.config import LinearScaling, Llama3Scaling, ModelConfig, NTKScaling, YarnScaling

Choice = tuple[str, str]
"""An axis and a name on it."""

AXES: dict[str, dict[str, dict[str, Any]]] = {
    "norm": {name: {"norm": name} for name in ("rms_norm", "layer_norm")},
    "residual": {
        name: {"residual": name} for name in ("pre", "post", "sandwich", "parallel", "parallel_two_norms", "deepnorm")
    },
    "feed_forward": {
        name: {"feed_forward": name}
        for name in ("relu", "gelu", "gelu_tanh", "swish", "reglu", "geglu", "geglu_tanh", "swiglu")
    },
    "positions": {name: {"positions": name} for name in ("none", "sinusoidal", "learned", "rope", "xpos", "alibi")}
    | {
        "partial": {"positions": "rope", "rotary_dim": 4},
        "linear": {"positions": "rope", "rope_scaling": LinearScaling(factor=4.0)},
        "ntk": {"positions": "rope", "rope_scaling": NTKScaling(factor=4.0)},
        "yarn": {"positions": "rope", "rope_scaling": YarnScaling(factor=4.0, original_length=64)},
        "llama3": {"positions": "rope", "rope_scaling": Llama3Scaling(factor=4.0, original_length=64)},
    },
    "heads": {"multi_head": {"kv_heads": 4}, "grouped": {"kv_heads": 2}, "multi_query": {"kv_heads": 1}},
    "window": {"full": {}, "sliding": {"windows": (20, 100)}, "mixed": {"windows": (20, None)}},
    "qk_norm": {"plain": {}, "qk_norm": {"qk_norm": True}},
    "biases": {
        "none": {},
        "qkv": {"qkv_bias": True},
        "all": {"qkv_bias": True, "output_bias": True, "ffn_bias": True},
    },
    "experts": {"dense": {}, "experts": {"experts": 3}},
    "embedding": {"untied": {}, "tied": {"tied_embeddings": True}, "normed": {"embedding_norm": True}},
}


def config_of(chosen: Mapping[str, str], **more: Any) -> ModelConfig:
    """A model of two layers with these choices."""
    values: dict[str, Any] = {
        "vocab_size": 64,
        "width": 32,
        "layers": 2,
        "heads": 4,
        "kv_heads": 4,
        "head_dim": 8,
        "ffn_width": 48,
        "norm_epsilon": 1e-5,
        "max_length": 512,
    }
    for axis, name in chosen.items():
        values |= AXES[axis][name]
    return ModelConfig(**(values | more))


def cover(axes: Mapping[str, Sequence[str]], strength: int = 2) -> list[dict[str, str]]:
    """Choices of one name an axis so that every `strength` names of different axes meet in one of them.

    Greedy: the next one begins with what has not met yet and takes on every other axis the name that meets most of it.
    """
    missing = {
        tuple(zip(some, names, strict=True))
        for some in combinations(axes, strength)
        for names in product(*(axes[axis] for axis in some))
    }
    found = []
    while missing:
        chosen = dict(min(missing))
        for axis in axes:
            if axis not in chosen:
                meets = {name: _meets(chosen | {axis: name}, axis, missing, strength) for name in axes[axis]}
                chosen[axis] = max(meets, key=meets.__getitem__)
        chosen = {axis: chosen[axis] for axis in axes}
        missing -= {tuple((axis, chosen[axis]) for axis in some) for some in combinations(axes, strength)}
        found.append(chosen)
    return found


def _meets(chosen: Mapping[str, str], axis: str, missing: Collection[tuple[Choice, ...]], strength: int) -> int:
    """How much of what has not met yet meets here with the name on `axis`."""
    known = [(each, chosen[each]) for each in AXES if each in chosen]
    here = (axis, chosen[axis])
    return sum(some in missing for some in combinations(known, strength) if here in some)
