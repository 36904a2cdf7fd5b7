"""BLOOM (Le Scao et al. 2022, arXiv:2211.05100): ALiBi, and a norm of the embedding."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from evalharness.stack.architectures.families.family import Family
from evalharness.stack.architectures.families.plain import all_biased, is_plain
from evalharness.stack.architectures.families.rules import Rule, fused_qkv, part, same
from evalharness.stack.architectures.families.values import Values, ends_json
from evalharness.stack.config import ModelConfig

LONGEST = 2048
"""Tokens of the sequences that BLOOM was trained on, where ``seq_length`` does not say it."""


def _read(values: Values) -> ModelConfig:
    values.require("apply_residual_connection_post_layernorm", False, default=False)
    width, heads = values.size("hidden_size", "n_embed"), values.size("n_head", "num_attention_heads")
    return ModelConfig(
        architecture="bloom",
        vocab_size=values.size("vocab_size"),
        width=width,
        layers=values.size("n_layer", "num_hidden_layers"),
        heads=heads,
        kv_heads=heads,
        head_dim=width // heads,
        ffn_width=4 * width,
        norm="layer_norm",
        norm_epsilon=values.number("layer_norm_epsilon", 1e-5),
        feed_forward="gelu_tanh",
        ffn_bias=True,
        positions="alibi",
        qkv_bias=True,
        output_bias=True,
        embedding_norm=True,
        max_length=values.size("seq_length", default=LONGEST),
        **values.ends(tied=True),
    )


def _write(config: ModelConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "n_layer": config.layers,
        "n_head": config.heads,
        "layer_norm_epsilon": config.norm_epsilon,
        "seq_length": config.max_length,
        **ends_json(config),
    }


def _rules(config: ModelConfig, _: Collection[str]) -> Iterator[Rule]:
    yield same("embedding.weight", "transformer.word_embeddings.weight")
    yield from part("embedding_norm", "transformer.word_embeddings_layernorm", bias=True)
    yield from part("norm", "transformer.ln_f", bias=True)
    if not config.tied_embeddings:
        yield same("head.weight", "lm_head.weight")
    for layer in range(config.layers):
        block, stored = f"blocks.{layer}", f"transformer.h.{layer}"
        yield from part(f"{block}.attention_norm", f"{stored}.input_layernorm", bias=True)
        yield from part(f"{block}.feed_forward_norm", f"{stored}.post_attention_layernorm", bias=True)
        for kind in ("weight", "bias"):
            yield fused_qkv(block, f"{stored}.self_attention.query_key_value", kind, config.heads, config.kv_heads)
        yield from part(f"{block}.attention.output", f"{stored}.self_attention.dense", bias=True)
        yield from part(f"{block}.feed_forward.up", f"{stored}.mlp.dense_h_to_4h", bias=True)
        yield from part(f"{block}.feed_forward.down", f"{stored}.mlp.dense_4h_to_h", bias=True)


def _covers(config: ModelConfig) -> bool:
    return (
        is_plain(config)
        and config.residual == "pre"
        and config.positions == "alibi"
        and config.feed_forward == "gelu_tanh"
        and config.ffn_width == 4 * config.width
        and config.kv_heads == config.heads
        and all_biased(config)
        and config.embedding_norm
    )


BLOOM = Family(
    title="BLOOM",
    class_name="BloomForCausalLM",
    read=_read,
    write=_write,
    rules=_rules,
    covers=_covers,
    prefix="transformer.",
    embedding="transformer.word_embeddings.weight",
)
