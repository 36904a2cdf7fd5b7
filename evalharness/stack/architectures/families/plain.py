"""What the families around GPT-2 have in common: LayerNorm, plain feed-forward layers, a head for every key."""

from __future__ import annotations

from evalharness.stack.config import ModelConfig

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "silu": "swish",
    "swish": "swish",
}
"""Hugging Face's names of activations to our feed-forward layers."""


def activation_name(config: ModelConfig) -> str:
    """Hugging Face's name of the feed-forward layer's activation."""
    return next(hub for hub, ours in ACTIVATIONS.items() if ours == config.feed_forward)


def is_plain(config: ModelConfig) -> bool:
    """Whether a configuration has what these families have in common, and no part that none of them has."""
    return (
        config.norm == "layer_norm"
        and config.feed_forward in ACTIVATIONS.values()
        and config.experts is None
        and config.embedding_width is None
        and not config.qk_norm
        and config.width == config.heads * config.head_dim
        and not any(config.windows)
    )


def all_biased(config: ModelConfig) -> bool:
    return config.qkv_bias and config.output_bias and config.ffn_bias


def none_biased(config: ModelConfig) -> bool:
    return not (config.qkv_bias or config.output_bias or config.ffn_bias)
