"""Llama 1 to 3, and what differs from it in biases, norms of heads and windows: Mistral, Qwen2, Qwen3."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

from evalharness.stack.architectures.families.family import Family
from evalharness.stack.architectures.families.rope import (
    has_place,
    rope_json,
    rope_of,
    scaling_from_hub,
    theta_of,
    turns_whole_heads,
)
from evalharness.stack.architectures.families.rules import Rule, part, same
from evalharness.stack.architectures.families.values import Values, ends_json
from evalharness.stack.config import ModelConfig
from evalharness.stack.errors import CheckpointError

GATES = {"silu": "swiglu", "gelu": "geglu", "gelu_pytorch_tanh": "geglu_tanh", "relu": "reglu"}
"""Hugging Face's ``hidden_act`` to our feed-forward layer."""
ATTENTION = {
    "attention.qkv.query": "self_attn.q_proj",
    "attention.qkv.key": "self_attn.k_proj",
    "attention.qkv.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
}
FEED_FORWARD = {
    "feed_forward.gate_up.gate": "mlp.gate_proj",
    "feed_forward.gate_up.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}


def common(values: Values, *, theta: float = 10_000.0) -> dict[str, Any]:
    """What all read alike; `theta` is the base of the rotation where none is given."""
    if values.flag("mlp_bias"):
        raise CheckpointError(f"{values.where}: biases in the feed-forward layers (mlp_bias) are not covered.")
    rope = rope_of(values)
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise CheckpointError(f"{values.where}: heads that are turned in part (partial_rotary_factor) are not covered.")
    heads, width = values.size("num_attention_heads"), values.size("hidden_size")
    longest = values.size("max_position_embeddings")
    return {
        "vocab_size": values.size("vocab_size"),
        "width": width,
        "layers": values.size("num_hidden_layers"),
        "heads": heads,
        "kv_heads": values.size("num_key_value_heads", default=heads),
        "head_dim": values.size("head_dim", default=width // heads),
        "ffn_width": values.size("intermediate_size"),
        "norm_epsilon": values.number("rms_norm_eps"),
        "rope_theta": theta_of(rope, values.where, theta),
        "rope_scaling": scaling_from_hub(rope, values, longest),
        "feed_forward": values.named("hidden_act", GATES, "silu"),
        "max_length": longest,
        **values.ends(tied=False),
    }


def _read(family: str, values: Values) -> ModelConfig:
    bias = values.flag("attention_bias")
    return ModelConfig(
        architecture=family,
        qkv_bias=family == "qwen2" or bias,
        output_bias=family != "qwen2" and bias,
        qk_norm=family == "qwen3",
        windows=_windows(family, values),
        **common(values),
    )


def _windows(family: str, values: Values) -> tuple[int | None, ...]:
    """Mistral slides in every layer; Qwen only where ``use_sliding_window``, and from ``max_window_layers`` on."""
    if not values.has("sliding_window") or not values.flag("use_sliding_window", default=family == "mistral"):
        return ()
    window, layers = values.size("sliding_window"), values.size("num_hidden_layers")
    kinds = values.get("layer_types")
    if kinds is None:
        first = values.get("max_window_layers", 0)
        kinds = ["sliding_attention" if layer >= first else "full_attention" for layer in range(layers)]
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)


def common_json(config: ModelConfig) -> dict[str, Any]:
    """What all write alike."""
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.ffn_width,
        "hidden_act": next(hub for hub, ours in GATES.items() if ours == config.feed_forward),
        "rms_norm_eps": config.norm_epsilon,
        "max_position_embeddings": config.max_length,
        "sliding_window": next((window for window in config.windows if window is not None), None),
        **rope_json(config),
        **ends_json(config),
    }


def _write(config: ModelConfig) -> dict[str, Any]:
    values = common_json(config)
    slides = values["sliding_window"] is not None
    if config.architecture in ("llama", "qwen3"):
        values["attention_bias"] = config.output_bias
    if config.architecture in ("qwen2", "qwen3"):
        values["use_sliding_window"] = slides
    if slides and config.architecture != "mistral":
        kinds = ("full_attention" if each is None else "sliding_attention" for each in config.windows)
        values["layer_types"] = list(kinds)
    return values


def outside(config: ModelConfig) -> Iterator[Rule]:
    """Where the tensors outside of the blocks lie."""
    yield same("embedding.weight", "model.embed_tokens.weight")
    yield same("norm.weight", "model.norm.weight")
    if not config.tied_embeddings:
        yield same("head.weight", "lm_head.weight")


def attention(config: ModelConfig, block: str, stored: str) -> Iterator[Rule]:
    """Where those of a block's norms and attention lie."""
    yield same(f"{block}.attention_norm.weight", f"{stored}.input_layernorm.weight")
    yield same(f"{block}.feed_forward_norm.weight", f"{stored}.post_attention_layernorm.weight")
    for ours, hub in ATTENTION.items():
        bias = config.output_bias if ours == "attention.output" else config.qkv_bias
        yield from part(f"{block}.{ours}", f"{stored}.{hub}", bias=bias)
    if config.qk_norm:
        yield same(f"{block}.attention.query_norm.weight", f"{stored}.self_attn.q_norm.weight")
        yield same(f"{block}.attention.key_norm.weight", f"{stored}.self_attn.k_norm.weight")


def _rules(config: ModelConfig, _: Collection[str]) -> Iterator[Rule]:
    yield from outside(config)
    for layer in range(config.layers):
        block, stored = f"blocks.{layer}", f"model.layers.{layer}"
        yield from attention(config, block, stored)
        for ours, hub in FEED_FORWARD.items():
            yield same(f"{block}.{ours}.weight", f"{stored}.{hub}.weight")


def has_common_parts(config: ModelConfig) -> bool:
    """Whether a configuration has what all of them have, experts or not."""
    windows = {config.window(layer) for layer in range(config.layers)}
    return (
        config.norm == "rms_norm"
        and config.residual == "pre"
        and config.feed_forward in GATES.values()
        and not config.ffn_bias
        and not config.embedding_norm
        and config.embedding_width is None
        and has_place(config)
        and turns_whole_heads(config)
        and len(windows - {None}) <= 1
    )


def _covers(family: str, config: ModelConfig) -> bool:
    if not has_common_parts(config) or config.experts is not None:
        return False
    biases = (config.qkv_bias, config.output_bias)
    slides = any(config.windows)
    match family:
        case "llama":
            # transformers refuses a Llama whose heads do not divide its width.
            divides = config.width % config.heads == 0
            return not slides and not config.qk_norm and biases[0] == biases[1] and divides
        case "mistral":
            everywhere = slides and None not in config.windows
            return everywhere and not config.qk_norm and biases == (False, False)
        case "qwen2":
            return not config.qk_norm and biases == (True, False)
        case _:
            return config.qk_norm and biases[0] == biases[1]


def _family(name: str, title: str, class_name: str) -> Family[ModelConfig]:
    return Family(
        title=title,
        class_name=class_name,
        read=partial(_read, name),
        write=_write,
        rules=_rules,
        covers=partial(_covers, name),
        prefix="model.",
        embedding="model.embed_tokens.weight",
        leftovers=(r"\.rotary_emb\.inv_freq$",),
    )


LLAMA = _family("llama", "Llama 1 to 3", "LlamaForCausalLM")
MISTRAL = _family("mistral", "Mistral", "MistralForCausalLM")
QWEN2 = _family("qwen2", "Qwen 2", "Qwen2ForCausalLM")
QWEN3 = _family("qwen3", "Qwen 3", "Qwen3ForCausalLM")
