"""T5 (Raffel et al. 2020, arXiv:1910.10683), its v1.1, and Flan-T5 (Chung et al. 2022, arXiv:2210.11416)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from evalharness.stack.architectures.encoder_decoder_config import EncoderDecoderConfig, faults
from evalharness.stack.architectures.families.family import Family
from evalharness.stack.architectures.families.rules import Rule, same
from evalharness.stack.architectures.families.values import Values, ends_json
from evalharness.stack.config import GATED
from evalharness.stack.errors import CheckpointError

if TYPE_CHECKING:
    from torch import nn

HEAD = "lm_head.weight"
FEED_FORWARDS = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "silu": "swish",
    "gated-relu": "reglu",
    "gated-gelu": "geglu_tanh",  # the approximation, whatever it is called
    "gated-gelu_new": "geglu_tanh",
    "gated-silu": "swiglu",
}
"""Hugging Face's ``feed_forward_proj`` to our feed-forward layers."""
SELF = {"qkv.query": "q", "qkv.key": "k", "qkv.value": "v", "output": "o"}
CROSS = {"query": "q", "key_value.key": "k", "key_value.value": "v", "output": "o"}


def _read(values: Values) -> EncoderDecoderConfig:
    pad = values.get("pad_token_id")
    tied, scaled = _outputs(values)
    config = EncoderDecoderConfig(
        vocab_size=values.size("vocab_size"),
        width=values.size("d_model"),
        encoder_layers=values.size("num_layers"),
        decoder_layers=values.size("num_decoder_layers", "num_layers"),
        heads=values.size("num_heads"),
        head_dim=values.size("d_kv"),
        ffn_width=values.size("d_ff"),
        feed_forward=values.named("feed_forward_proj", FEED_FORWARDS, "relu"),
        norm_epsilon=values.number("layer_norm_epsilon", 1e-6),
        buckets=values.size("relative_attention_num_buckets", default=32),
        farthest=values.size("relative_attention_max_distance", default=128),
        start_id=values.get("decoder_start_token_id", pad or 0),
        pad_id=pad,
        max_length=values.size("n_positions", default=512),
        scaled_outputs=scaled,
        **values.ends(tied=True) | {"tied_embeddings": tied},
    )
    for fault in faults(config):
        raise CheckpointError(f"{values.where}: {fault}")
    return config


def _outputs(values: Values) -> tuple[bool, bool]:
    """Whether the vocabulary projection is the embedding, and whether its inputs are divided by sqrt(width).

    v1.0 has both and v1.1 neither, which its ``tie_word_embeddings`` said until transformers 5: that one always writes
    true, says the second thing by a key of its own, and leaves the head out where it is the embedding after all.
    """
    tied = values.flag("tie_word_embeddings", default=True)
    scaled = values.flag("scale_decoder_outputs", default=tied)
    if tied and not scaled:
        tied = HEAD not in values.tensors()
    return tied, scaled


def _write(config: EncoderDecoderConfig) -> dict[str, Any]:
    return {
        "is_encoder_decoder": True,
        "vocab_size": config.vocab_size,
        "d_model": config.width,
        "num_layers": config.encoder_layers,
        "num_decoder_layers": config.decoder_layers,
        "num_heads": config.heads,
        "d_kv": config.head_dim,
        "d_ff": config.ffn_width,
        "feed_forward_proj": next(hub for hub, ours in FEED_FORWARDS.items() if ours == config.feed_forward),
        "layer_norm_epsilon": config.norm_epsilon,
        "relative_attention_num_buckets": config.buckets,
        "relative_attention_max_distance": config.farthest,
        "scale_decoder_outputs": config.scaled_outputs,
        "decoder_start_token_id": config.start_id,
        "pad_token_id": config.pad_id,
        "n_positions": config.max_length,
        **ends_json(config),
    }


def _rules(config: EncoderDecoderConfig, _: Collection[str]) -> Iterator[Rule]:
    yield same("embedding.weight", "shared.weight")
    if not config.tied_embeddings:
        yield same("head.weight", HEAD)
    for stack, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        first = f"{stack}.block.0.layer.0.SelfAttention"
        yield same(f"{stack}.positions.weight", f"{first}.relative_attention_bias.weight")
        yield same(f"{stack}.norm.weight", f"{stack}.final_layer_norm.weight")
        for layer in range(layers):
            yield from _block(config, f"{stack}.blocks.{layer}", f"{stack}.block.{layer}.layer", stack == "decoder")


def _block(config: EncoderDecoderConfig, block: str, stored: str, crosses: bool) -> Iterator[Rule]:
    yield same(f"{block}.attention_norm.weight", f"{stored}.0.layer_norm.weight")
    for ours, letter in SELF.items():
        yield same(f"{block}.attention.{ours}.weight", f"{stored}.0.SelfAttention.{letter}.weight")
    if crosses:
        yield same(f"{block}.cross_attention_norm.weight", f"{stored}.1.layer_norm.weight")
        for ours, letter in CROSS.items():
            yield same(f"{block}.cross_attention.{ours}.weight", f"{stored}.1.EncDecAttention.{letter}.weight")
    last = f"{stored}.{2 if crosses else 1}"
    yield same(f"{block}.feed_forward_norm.weight", f"{last}.layer_norm.weight")
    gated = {"gate_up.gate": "wi_0", "gate_up.up": "wi_1", "down": "wo"}
    for ours, name in (gated if config.feed_forward in GATED else {"up": "wi", "down": "wo"}).items():
        yield same(f"{block}.feed_forward.{ours}.weight", f"{last}.DenseReluDense.{name}.weight")


def _build(config: EncoderDecoderConfig) -> nn.Module:
    from evalharness.stack.architectures.encoder_decoder import EncoderDecoder

    return EncoderDecoder(config)


T5 = Family(
    title="T5",
    class_name="T5ForConditionalGeneration",
    read=_read,
    write=_write,
    rules=_rules,
    build=_build,
    prefix="",
    embedding="shared.weight",
    copies=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"),
    # transformers once gave the first cross-attention of the decoder positions that it never had.
    leftovers=(r"^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$",),
    runs="loop",
    endless=True,
)
