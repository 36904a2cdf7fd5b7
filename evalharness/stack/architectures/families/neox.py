"""GPT-NeoX (Black et al. 2022, arXiv:2204.06745) and Pythia: heads that are turned in part, two norms side by side."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from evalharness.stack.architectures.families.family import Family
from evalharness.stack.architectures.families.plain import ACTIVATIONS, activation_name, is_plain
from evalharness.stack.architectures.families.rope import has_place, rope_of, scaling_from_hub, scaling_to_hub, theta_of
from evalharness.stack.architectures.families.rules import Rule, fused_qkv, part, same
from evalharness.stack.architectures.families.values import Values, ends_json, positive
from evalharness.stack.config import ModelConfig


def _read(values: Values) -> ModelConfig:
    rope = rope_of(values)
    width, heads = values.size("hidden_size"), values.size("num_attention_heads")
    share = rope.get("partial_rotary_factor") or values.get("rotary_pct", 0.25)
    turned = int(width // heads * positive(share, "rotary_pct", values.where))
    longest = values.size("max_position_embeddings")
    bias = values.flag("attention_bias", default=True)
    return ModelConfig(
        architecture="gpt_neox",
        vocab_size=values.size("vocab_size"),
        width=width,
        layers=values.size("num_hidden_layers"),
        heads=heads,
        kv_heads=heads,
        head_dim=width // heads,
        ffn_width=values.size("intermediate_size"),
        norm="layer_norm",
        norm_epsilon=values.number("layer_norm_eps", 1e-5),
        residual="parallel_two_norms" if values.flag("use_parallel_residual", default=True) else "pre",
        feed_forward=values.named("hidden_act", ACTIVATIONS, "gelu"),
        ffn_bias=True,
        rope_theta=theta_of(rope, values.where, values.number("rotary_emb_base", 10_000.0)),
        rope_scaling=scaling_from_hub(rope, values, longest),
        rotary_dim=None if turned == width // heads else turned,
        qkv_bias=bias,
        output_bias=bias,
        max_length=longest,
        **values.ends(tied=False),
    )


def _write(config: ModelConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.ffn_width,
        "hidden_act": activation_name(config),
        "layer_norm_eps": config.norm_epsilon,
        "max_position_embeddings": config.max_length,
        "use_parallel_residual": config.residual == "parallel_two_norms",
        "attention_bias": config.qkv_bias,
        "rotary_pct": (config.rotary_dim or config.head_dim) / config.head_dim,
        "rotary_emb_base": config.rope_theta,
        "rope_scaling": scaling_to_hub(config.rope_scaling),
        **ends_json(config),
    }


def _rules(config: ModelConfig, _: Collection[str]) -> Iterator[Rule]:
    yield same("embedding.weight", "gpt_neox.embed_in.weight")
    yield from part("norm", "gpt_neox.final_layer_norm", bias=True)
    if not config.tied_embeddings:
        yield same("head.weight", "embed_out.weight")
    for layer in range(config.layers):
        block, stored = f"blocks.{layer}", f"gpt_neox.layers.{layer}"
        yield from part(f"{block}.attention_norm", f"{stored}.input_layernorm", bias=True)
        yield from part(f"{block}.feed_forward_norm", f"{stored}.post_attention_layernorm", bias=True)
        for kind in ("weight", "bias") if config.qkv_bias else ("weight",):
            yield fused_qkv(block, f"{stored}.attention.query_key_value", kind, config.heads, config.kv_heads)
        yield from part(f"{block}.attention.output", f"{stored}.attention.dense", bias=config.output_bias)
        yield from part(f"{block}.feed_forward.up", f"{stored}.mlp.dense_h_to_4h", bias=True)
        yield from part(f"{block}.feed_forward.down", f"{stored}.mlp.dense_4h_to_h", bias=True)


def _covers(config: ModelConfig) -> bool:
    turned = config.rotary_dim or config.head_dim
    return (
        is_plain(config)
        and config.residual in ("pre", "parallel_two_norms")
        and has_place(config)
        # The share of a head is written, and must say the same number again.
        and int(config.head_dim * (turned / config.head_dim)) == turned
        and config.kv_heads == config.heads
        and config.qkv_bias == config.output_bias
        and config.ffn_bias
        and not config.embedding_norm
    )


NEOX = Family(
    title="GPT-NeoX, Pythia",
    class_name="GPTNeoXForCausalLM",
    read=_read,
    write=_write,
    rules=_rules,
    covers=_covers,
    prefix="gpt_neox.",
    embedding="gpt_neox.embed_in.weight",
    head="embed_out.weight",
    renamed=((r"^lm_head\.", "embed_out."),),
    leftovers=(r"\.attention\.(masked_)?bias$", r"\.rotary_emb\.inv_freq$"),
)
