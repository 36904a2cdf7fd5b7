"""Falcon (Almazrouei et al. 2023, arXiv:2311.16867), its three kinds.

7B: one key head, attention and feed-forward layer side by side after one norm. 40B, 180B and 11B ("new decoder
architecture"): several key heads, with a norm for each of the two layers, or (11B) one for both. RW-1B and RW-7B:
ALiBi, a key head for each query head, and one layer after the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from evalharness.stack.architectures.families.family import Family
from evalharness.stack.architectures.families.plain import (
    ACTIVATIONS,
    activation_name,
    all_biased,
    is_plain,
    none_biased,
)
from evalharness.stack.architectures.families.rope import (
    has_place,
    rope_json,
    rope_of,
    scaling_from_hub,
    theta_of,
    turns_whole_heads,
)
from evalharness.stack.architectures.families.rules import Rule, fused_qkv, part, same
from evalharness.stack.architectures.families.values import Values, ends_json
from evalharness.stack.config import ModelConfig
from evalharness.stack.errors import CheckpointError


def _read(values: Values) -> ModelConfig:
    width, heads = values.size("hidden_size", "n_embed"), values.size("num_attention_heads", "n_head")
    residual, kv_heads = _block(values, heads)
    alibi, bias = values.flag("alibi"), values.flag("bias")
    if alibi and kv_heads != heads:
        raise CheckpointError(
            f"{values.where}: ALiBi with key heads that query heads share ({kv_heads} for {heads}) is not covered."
        )
    rope = rope_of(values)
    longest = values.size("max_position_embeddings", default=2048)
    return ModelConfig(
        architecture="falcon",
        vocab_size=values.size("vocab_size"),
        width=width,
        layers=values.size("num_hidden_layers", "n_layer"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=width // heads,
        ffn_width=values.size("ffn_hidden_size", default=4 * width),
        norm="layer_norm",
        norm_epsilon=values.number("layer_norm_epsilon", 1e-5),
        residual=residual,
        feed_forward=values.named("activation", ACTIVATIONS, "gelu"),
        ffn_bias=bias,
        positions="alibi_rounded" if alibi else "rope",
        rope_theta=10_000.0 if alibi else theta_of(rope, values.where),
        rope_scaling=None if alibi else scaling_from_hub(rope, values, longest),
        qkv_bias=bias,
        output_bias=bias,
        max_length=longest,
        **values.ends(tied=True),
    )


def _block(values: Values, heads: int) -> tuple[str, int]:
    """How layers follow each other, and how many key heads there are."""
    parallel = values.flag("parallel_attn", default=True)
    if values.flag("new_decoder_architecture"):
        values.require("parallel_attn", True, default=True)
        norms = values.size("num_ln_in_parallel_attn", default=2)
        return "parallel_two_norms" if norms == 2 else "parallel", values.size("num_kv_heads", default=heads)
    if parallel:
        values.require("num_ln_in_parallel_attn", 1, default=1)
    return "parallel" if parallel else "pre", 1 if values.flag("multi_query", default=True) else heads


def _is_new(config: ModelConfig) -> bool:
    """Whether only the new decoder architecture has such blocks."""
    return config.residual == "parallel_two_norms" or config.kv_heads not in (1, config.heads)


def _write(config: ModelConfig) -> dict[str, Any]:
    new = _is_new(config)
    positions = {"alibi": True} if config.positions == "alibi_rounded" else {"alibi": False, **rope_json(config)}
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_kv_heads": config.kv_heads if new else config.heads,
        "ffn_hidden_size": config.ffn_width,
        "activation": activation_name(config),
        "layer_norm_epsilon": config.norm_epsilon,
        "max_position_embeddings": config.max_length,
        "new_decoder_architecture": new,
        "num_ln_in_parallel_attn": (2 if config.residual == "parallel_two_norms" else 1) if new else None,
        "multi_query": config.kv_heads == 1,
        "parallel_attn": config.residual != "pre",
        "bias": config.ffn_bias,
        **positions,
        **ends_json(config),
    }


def _rules(config: ModelConfig, _: Collection[str]) -> Iterator[Rule]:
    yield same("embedding.weight", "transformer.word_embeddings.weight")
    yield from part("norm", "transformer.ln_f", bias=True)
    if not config.tied_embeddings:
        yield same("head.weight", "lm_head.weight")
    kinds = ("weight", "bias") if config.qkv_bias else ("weight",)
    for layer in range(config.layers):
        block, stored = f"blocks.{layer}", f"transformer.h.{layer}"
        match config.residual:
            case "parallel_two_norms":
                yield from part(f"{block}.attention_norm", f"{stored}.ln_attn", bias=True)
                yield from part(f"{block}.feed_forward_norm", f"{stored}.ln_mlp", bias=True)
            case "parallel":
                yield from part(f"{block}.attention_norm", f"{stored}.input_layernorm", bias=True)
            case _:
                yield from part(f"{block}.attention_norm", f"{stored}.input_layernorm", bias=True)
                yield from part(f"{block}.feed_forward_norm", f"{stored}.post_attention_layernorm", bias=True)
        for kind in kinds:
            yield fused_qkv(block, f"{stored}.self_attention.query_key_value", kind, config.heads, config.kv_heads)
        yield from part(f"{block}.attention.output", f"{stored}.self_attention.dense", bias=config.output_bias)
        yield from part(f"{block}.feed_forward.up", f"{stored}.mlp.dense_h_to_4h", bias=config.ffn_bias)
        yield from part(f"{block}.feed_forward.down", f"{stored}.mlp.dense_4h_to_h", bias=config.ffn_bias)


def _covers(config: ModelConfig) -> bool:
    positions = config.positions == "alibi_rounded" or (has_place(config) and turns_whole_heads(config))
    shared = config.kv_heads not in (1, config.heads)
    return (
        is_plain(config)
        and config.residual in ("pre", "parallel", "parallel_two_norms")
        and not (config.residual == "pre" and shared)
        and positions
        and (all_biased(config) or none_biased(config))
        and not config.embedding_norm
    )


FALCON = Family(
    title="Falcon",
    class_name="FalconForCausalLM",
    read=_read,
    write=_write,
    rules=_rules,
    covers=_covers,
    prefix="transformer.",
    embedding="transformer.word_embeddings.weight",
    leftovers=(r"\.rotary_emb\.inv_freq$",),
)
