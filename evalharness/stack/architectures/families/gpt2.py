"""GPT-2 (Radford et al. 2019): learned positions, and linear layers that lie the other way round ("Conv1D")."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from evalharness.stack.architectures.families.family import Family
from evalharness.stack.architectures.families.plain import ACTIVATIONS, activation_name, all_biased, is_plain
from evalharness.stack.architectures.families.rules import QKV, Rule, part, same, transposed
from evalharness.stack.architectures.families.values import Values, ends_json
from evalharness.stack.config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

LINEAR = {"attention.output": "attn.c_proj", "feed_forward.up": "mlp.c_fc", "feed_forward.down": "mlp.c_proj"}


def _read(values: Values) -> ModelConfig:
    values.require("scale_attn_weights", True, default=True)
    values.require("scale_attn_by_inverse_layer_idx", False, default=False)
    values.require("add_cross_attention", False, default=False)
    width, heads = values.size("n_embd", "hidden_size"), values.size("n_head", "num_attention_heads")
    return ModelConfig(
        architecture="gpt2",
        vocab_size=values.size("vocab_size"),
        width=width,
        layers=values.size("n_layer", "num_hidden_layers"),
        heads=heads,
        kv_heads=heads,
        head_dim=width // heads,
        ffn_width=values.size("n_inner", default=4 * width),
        norm="layer_norm",
        norm_epsilon=values.number("layer_norm_epsilon", 1e-5),
        feed_forward=values.named("activation_function", ACTIVATIONS, "gelu_new"),
        ffn_bias=True,
        positions="learned",
        qkv_bias=True,
        output_bias=True,
        max_length=values.size("n_positions", "max_position_embeddings", default=1024),
        **values.ends(tied=True),
    )


def _write(config: ModelConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "n_embd": config.width,
        "n_layer": config.layers,
        "n_head": config.heads,
        "n_inner": config.ffn_width,
        "n_positions": config.max_length,
        "activation_function": activation_name(config),
        "layer_norm_epsilon": config.norm_epsilon,
        **ends_json(config),
    }


def _rules(config: ModelConfig, _: Collection[str]) -> Iterator[Rule]:
    yield same("embedding.weight", "transformer.wte.weight")
    yield same("positions.weight", "transformer.wpe.weight")
    yield from part("norm", "transformer.ln_f", bias=True)
    if not config.tied_embeddings:
        yield same("head.weight", "lm_head.weight")
    for layer in range(config.layers):
        block, stored = f"blocks.{layer}", f"transformer.h.{layer}"
        yield from part(f"{block}.attention_norm", f"{stored}.ln_1", bias=True)
        yield from part(f"{block}.feed_forward_norm", f"{stored}.ln_2", bias=True)
        yield _qkv(block, stored, "weight")
        yield _qkv(block, stored, "bias")
        for ours, hub in LINEAR.items():
            yield transposed(f"{block}.{ours}.weight", f"{stored}.{hub}.weight")
            yield same(f"{block}.{ours}.bias", f"{stored}.{hub}.bias")


def _qkv(block: str, stored: str, kind: str) -> Rule:
    """All queries, then all keys, then all values, in one matrix [in, 3 W] or bias."""

    def load(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        return [piece.T.contiguous() if piece.dim() == 2 else piece for piece in tensors[0].chunk(3, dim=-1)]

    def save(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        import torch

        return [torch.cat([tensor.T if tensor.dim() == 2 else tensor for tensor in tensors], dim=-1)]

    ours = tuple(f"{block}.{each}.{kind}" for each in QKV)
    return Rule(ours, (f"{stored}.attn.c_attn.{kind}",), load, save, transposed=kind == "weight")


def _covers(config: ModelConfig) -> bool:
    return (
        is_plain(config)
        and config.residual == "pre"
        and config.positions == "learned"
        and config.kv_heads == config.heads
        and all_biased(config)
        and not config.embedding_norm
    )


GPT2 = Family(
    title="GPT-2",
    class_name="GPT2LMHeadModel",
    read=_read,
    write=_write,
    rules=_rules,
    covers=_covers,
    prefix="transformer.",
    embedding="transformer.wte.weight",
    leftovers=(r"\.attn\.(masked_)?bias$",),
)
