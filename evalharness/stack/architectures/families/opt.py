"""OPT (Zhang et al. 2022, arXiv:2205.01068): learned positions that begin in the third row of their table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evalharness.stack.architectures.families.family import Family
from evalharness.stack.architectures.families.plain import (
    ACTIVATIONS,
    activation_name,
    all_biased,
    is_plain,
    none_biased,
)
from evalharness.stack.architectures.families.rules import Rule, part, same
from evalharness.stack.architectures.families.values import Values, ends_json
from evalharness.stack.config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

OFFSET = 2
"""Rows of the table of positions before that of position 0; only padding ever meets them."""
NORM_EPSILON = 1e-5
LINEAR = {
    "attention.qkv.query": "self_attn.q_proj",
    "attention.qkv.key": "self_attn.k_proj",
    "attention.qkv.value": "self_attn.v_proj",
    "attention.output": "self_attn.out_proj",
    "feed_forward.up": "fc1",
    "feed_forward.down": "fc2",
}


def _read(values: Values) -> ModelConfig:
    values.require("_remove_final_layer_norm", False, default=False)
    values.require("layer_norm_elementwise_affine", True, default=True)
    width, heads = values.size("hidden_size"), values.size("num_attention_heads")
    inner = values.size("word_embed_proj_dim", default=width)
    bias = values.flag("enable_bias", default=True)
    return ModelConfig(
        architecture="opt",
        vocab_size=values.size("vocab_size"),
        width=width,
        layers=values.size("num_hidden_layers"),
        heads=heads,
        kv_heads=heads,
        head_dim=width // heads,
        ffn_width=values.size("ffn_dim"),
        norm="layer_norm",
        norm_epsilon=NORM_EPSILON,
        residual="pre" if values.flag("do_layer_norm_before", default=True) else "post",
        feed_forward=values.named("activation_function", ACTIVATIONS, "relu"),
        ffn_bias=bias,
        positions="learned",
        qkv_bias=bias,
        output_bias=bias,
        embedding_width=None if inner == width else inner,
        max_length=values.size("max_position_embeddings"),
        **values.ends(tied=True),
    )


def _write(config: ModelConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "word_embed_proj_dim": config.embedding_width or config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "ffn_dim": config.ffn_width,
        "max_position_embeddings": config.max_length,
        "activation_function": activation_name(config),
        "do_layer_norm_before": config.residual == "pre",
        "enable_bias": config.ffn_bias,
        "pad_token_id": None,
        **ends_json(config),
    }


def _rules(config: ModelConfig, _: Collection[str]) -> Iterator[Rule]:
    yield same("embedding.weight", "model.decoder.embed_tokens.weight")
    yield Rule(("positions.weight",), ("model.decoder.embed_positions.weight",), _drop_rows, _add_rows)
    if config.embedding_width is not None:
        yield same("embedding_in.weight", "model.decoder.project_in.weight")
        yield same("embedding_out.weight", "model.decoder.project_out.weight")
    if config.residual == "pre":
        yield from part("norm", "model.decoder.final_layer_norm", bias=True)
    if not config.tied_embeddings:
        yield same("head.weight", "lm_head.weight")
    for layer in range(config.layers):
        block, stored = f"blocks.{layer}", f"model.decoder.layers.{layer}"
        yield from part(f"{block}.attention_norm", f"{stored}.self_attn_layer_norm", bias=True)
        yield from part(f"{block}.feed_forward_norm", f"{stored}.final_layer_norm", bias=True)
        for ours, hub in LINEAR.items():
            yield from part(f"{block}.{ours}", f"{stored}.{hub}", bias=config.ffn_bias)


def _drop_rows(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    return [tensors[0][OFFSET:]]


def _add_rows(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    import torch

    return [torch.cat((tensors[0].new_zeros(OFFSET, tensors[0].shape[1]), tensors[0]))]


def _covers(config: ModelConfig) -> bool:
    return (
        is_plain(replace(config, embedding_width=None))
        and config.residual in ("pre", "post")
        and config.positions == "learned"
        and config.kv_heads == config.heads
        and (all_biased(config) or none_biased(config))
        and config.norm_epsilon == NORM_EPSILON
        and not config.embedding_norm
    )


OPT = Family(
    title="OPT",
    class_name="OPTForCausalLM",
    read=_read,
    write=_write,
    rules=_rules,
    covers=_covers,
    prefix="model.",
    embedding="model.decoder.embed_tokens.weight",
)
