"""The families of Llama in GGUF files: their configurations and names of tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from evalharness.stack.architectures.families.llama import LLAMA, MISTRAL, QWEN2, QWEN3
from evalharness.stack.architectures.families.values import whole
from evalharness.stack.checkpoints.gguf import GGUFFile
from evalharness.stack.config import LinearScaling, Llama3Scaling, ModelConfig, RopeScaling
from evalharness.stack.errors import CheckpointError

GGUF_FAMILIES = {"llama": LLAMA, "mistral": MISTRAL, "qwen2": QWEN2, "qwen3": QWEN3}
"""By GGUF's names, which are Hugging Face's; Mistral is ``llama`` there."""
SIZES = ("embedding_length", "block_count", "attention.head_count", "feed_forward_length", "context_length")
OUTSIDE = {
    "embedding.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "head.weight": "output.weight",
}
INSIDE = {
    "attention_norm": "attn_norm",
    "attention.qkv.query": "attn_q",
    "attention.qkv.key": "attn_k",
    "attention.qkv.value": "attn_v",
    "attention.output": "attn_output",
    "attention.query_norm": "attn_q_norm",
    "attention.key_norm": "attn_k_norm",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.gate_up.gate": "ffn_gate",
    "feed_forward.gate_up.up": "ffn_up",
    "feed_forward.down": "ffn_down",
}


def tensor_names(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Every tensor of a model as (our name, GGUF's)."""
    for rule in GGUF_FAMILIES[config.architecture].rules(config, ()):
        (ours,) = rule.ours
        if ours in OUTSIDE:
            yield ours, OUTSIDE[ours]
        else:
            _, layer, inside = ours.split(".", 2)
            part, _, kind = inside.rpartition(".")
            yield ours, f"blk.{layer}.{INSIDE[part]}.{kind}"


def config_from_gguf(file: GGUFFile) -> ModelConfig:
    """The configuration that a GGUF file describes.

    Raises:
        CheckpointError: an architecture or a scaling that the decoder does not cover, or a missing key.
    """
    family = file.require("general.architecture")
    if family not in GGUF_FAMILIES:
        known = ", ".join(GGUF_FAMILIES)
        raise CheckpointError(f"{file.path}: the architecture '{family}' is not known in GGUF files; known: {known}.")

    def get(key: str, default: Any = None) -> Any:
        return file.metadata.get(f"{family}.{key}", default)

    for key in SIZES:
        whole(file.require(f"{family}.{key}"), f"{family}.{key}", str(file.path))
    heads, width = file.require(f"{family}.attention.head_count"), file.require(f"{family}.embedding_length")
    layers = file.require(f"{family}.block_count")
    head_dim = get("attention.key_length") or width // heads
    theta = _decimal(get("rope.freq_base", 10_000.0))
    window = get("attention.sliding_window")
    ends = [file.metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("eos", "eot")]
    return ModelConfig(
        architecture="mistral" if family == "llama" and window else family,
        vocab_size=file.tensors["token_embd.weight"].shape[0] if "token_embd.weight" in file.tensors else 0,
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=get("attention.head_count_kv", heads),
        head_dim=head_dim,
        ffn_width=file.require(f"{family}.feed_forward_length"),
        norm_epsilon=_decimal(file.require(f"{family}.attention.layer_norm_rms_epsilon")),
        rope_theta=theta,
        rope_scaling=_scaling_from_gguf(file, family, head_dim, theta),
        qkv_bias="blk.0.attn_q.bias" in file.tensors,
        output_bias="blk.0.attn_output.bias" in file.tensors,
        qk_norm="blk.0.attn_q_norm.weight" in file.tensors,
        windows=(window,) * layers if window else (),
        tied_embeddings="output.weight" not in file.tensors,
        max_length=file.require(f"{family}.context_length"),
        bos_id=file.metadata.get("tokenizer.ggml.bos_token_id"),
        eos_ids=tuple(dict.fromkeys(id for id in ends if id is not None)),
    )


def _decimal(value: float) -> float:
    """The decimal that was meant by a number stored in fp32: 9.99999974738e-06 is 1e-05."""
    return float(str(np.float32(value)))


def _scaling_from_gguf(file: GGUFFile, family: str, head_dim: int, theta: float) -> RopeScaling | None:
    if "rope_freqs.weight" in file.tensors:
        return _llama3_from_divisors(file, head_dim, theta)
    kind = file.metadata.get(f"{family}.rope.scaling.type", "none")
    if kind == "none":
        return None
    if kind == "linear":
        return LinearScaling(factor=_decimal(file.require(f"{family}.rope.scaling.factor")))
    raise CheckpointError(f"{file.path}: the RoPE scaling '{kind}' is not known; known: none, linear, llama3.")


def _llama3_from_divisors(file: GGUFFile, head_dim: int, theta: float) -> Llama3Scaling:
    """GGUF keeps what each frequency is divided by instead of Llama 3's four numbers: find them again.

    Every published Llama 3 has the three defaults of `Llama3Scaling`; the factor is the largest divisor.
    """
    from evalharness.stack.layers.rotary import llama3_divisors, rotary_frequencies

    divisors = file.raw("rope_freqs.weight").view(np.float32)
    scaling = Llama3Scaling(factor=_decimal(float(divisors.max())))
    expected = llama3_divisors(rotary_frequencies(head_dim, theta), scaling).numpy()
    if divisors.shape != expected.shape or not np.allclose(divisors, expected, rtol=1e-4):
        raise CheckpointError(f"{file.path}: the divisors in 'rope_freqs.weight' are not those of Llama 3's scaling.")
    return scaling
