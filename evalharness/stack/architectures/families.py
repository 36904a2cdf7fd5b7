"""The families that the decoder covers: their configurations and tensor names in each checkpoint format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from evalharness.stack.checkpoints.gguf import GGUFFile
from evalharness.stack.config import (
    LinearScaling,
    Llama3Scaling,
    ModelConfig,
    NTKScaling,
    RopeScaling,
    YarnScaling,
)
from evalharness.stack.errors import CheckpointError

FAMILIES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
"""Hugging Face's ``model_type`` to its class; GGUF's architecture names are the same (Mistral is ``llama`` there)."""

_OUTSIDE = {  # ours: (Hugging Face, GGUF)
    "embedding.weight": ("model.embed_tokens.weight", "token_embd.weight"),
    "norm.weight": ("model.norm.weight", "output_norm.weight"),
    "head.weight": ("lm_head.weight", "output.weight"),
}
_INSIDE = {
    "attention_norm": ("input_layernorm", "attn_norm"),
    "attention.qkv.query": ("self_attn.q_proj", "attn_q"),
    "attention.qkv.key": ("self_attn.k_proj", "attn_k"),
    "attention.qkv.value": ("self_attn.v_proj", "attn_v"),
    "attention.output": ("self_attn.o_proj", "attn_output"),
    "attention.query_norm": ("self_attn.q_norm", "attn_q_norm"),
    "attention.key_norm": ("self_attn.k_norm", "attn_k_norm"),
    "feed_forward_norm": ("post_attention_layernorm", "ffn_norm"),
    "feed_forward.gate_up.gate": ("mlp.gate_proj", "ffn_gate"),
    "feed_forward.gate_up.up": ("mlp.up_proj", "ffn_up"),
    "feed_forward.down": ("mlp.down_proj", "ffn_down"),
}


def tensor_names(config: ModelConfig) -> Iterator[tuple[str, str, str]]:
    """Every tensor of a model as (our name, Hugging Face's, GGUF's)."""
    for ours, (hub, gguf) in _OUTSIDE.items():
        if not (ours == "head.weight" and config.tied_embeddings):
            yield ours, hub, gguf
    for layer in range(config.layers):
        for part, (hub, gguf) in _INSIDE.items():
            for kind in _kinds(part, config):
                yield (
                    f"blocks.{layer}.{part}.{kind}",
                    f"model.layers.{layer}.{hub}.{kind}",
                    f"blk.{layer}.{gguf}.{kind}",
                )


def _kinds(part: str, config: ModelConfig) -> tuple[str, ...]:
    """Which of weight and bias a part has."""
    if part in ("attention.query_norm", "attention.key_norm"):
        return ("weight",) if config.qk_norm else ()
    biased = (config.qkv_bias and part.startswith("attention.qkv.")) or (
        config.output_bias and part == "attention.output"
    )
    return ("weight", "bias") if biased else ("weight",)


# --------------------------------------------------------------------------- Hugging Face


def config_from_hub(values: Mapping[str, Any], where: str) -> ModelConfig:
    """The configuration that a ``config.json`` describes; `where` names it in errors.

    Raises:
        CheckpointError: an architecture, an option or a scaling that the decoder does not cover, or a missing key.
    """
    family = values.get("model_type")
    if family not in FAMILIES:
        raise CheckpointError(f"{where}: the architecture '{family}' is not known; known: {', '.join(FAMILIES)}.")
    if values.get("mlp_bias"):
        raise CheckpointError(f"{where}: biases in the feed-forward layers (mlp_bias) are not covered.")
    try:
        if _rope(values).get("partial_rotary_factor", 1.0) != 1.0:
            raise CheckpointError(f"{where}: heads that are turned in part (partial_rotary_factor) are not covered.")
        for key in HUB_SIZES:
            _size(values[key], key, where)
        heads, width = values["num_attention_heads"], values["hidden_size"]
        layers = values["num_hidden_layers"]
        bias = bool(values.get("attention_bias", False))
        return ModelConfig(
            architecture=family,
            vocab_size=values["vocab_size"],
            width=width,
            layers=layers,
            heads=heads,
            kv_heads=values.get("num_key_value_heads") or heads,
            head_dim=values.get("head_dim") or width // heads,
            ffn_width=values["intermediate_size"],
            norm_epsilon=values["rms_norm_eps"],
            rope_theta=_rope(values).get("rope_theta", 10_000.0),
            rope_scaling=_scaling_from_hub(_rope(values), values, where),
            qkv_bias=family == "qwen2" or bias,
            output_bias=family != "qwen2" and bias,
            qk_norm=family == "qwen3",
            windows=_windows(values, layers),
            feed_forward=_gated(values.get("hidden_act", "silu"), where),
            tied_embeddings=bool(values.get("tie_word_embeddings", False)),
            max_length=values["max_position_embeddings"],
            bos_id=values.get("bos_token_id"),
            eos_ids=as_ids(values.get("eos_token_id")),
        )
    except KeyError as error:
        raise CheckpointError(f"{where}: the key {error} is missing; it is not a complete configuration.") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{where}: a value has the wrong type ({error}).") from None


HUB_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)
GGUF_SIZES = ("embedding_length", "block_count", "attention.head_count", "feed_forward_length", "context_length")


def _size(value: Any, key: str, where: str) -> None:
    if type(value) is not int or value < 1:
        raise CheckpointError(f"{where}: the key '{key}' must be a whole number of at least 1, not {value!r:.40}.")


GATES = {"silu": "swiglu", "gelu": "geglu", "gelu_pytorch_tanh": "geglu_tanh", "relu": "reglu"}
"""Hugging Face's ``hidden_act`` to our feed-forward layer."""


def _gated(activation: str, where: str) -> str:
    if activation not in GATES:
        raise CheckpointError(f"{where}: the activation '{activation}' is not known; known: {', '.join(GATES)}.")
    return GATES[activation]


def as_ids(value: int | list[int] | None) -> tuple[int, ...]:
    """Token ids where a configuration has one, several or none."""
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)


def _rope(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """transformers 5 has one key ``rope_parameters``; before, base and scaling had a key each."""
    if values.get("rope_parameters"):
        return values["rope_parameters"]  # type: ignore[no-any-return]
    base = {"rope_theta": values["rope_theta"]} if "rope_theta" in values else {}
    return base | (values.get("rope_scaling") or {})


def _scaling_from_hub(rope: Mapping[str, Any], values: Mapping[str, Any], where: str) -> RopeScaling | None:
    match rope.get("rope_type", rope.get("type", "default")):
        case "default":
            return None
        case "linear":
            return LinearScaling(factor=rope["factor"])
        case "llama3":
            return Llama3Scaling(
                factor=rope["factor"],
                low_frequency_factor=rope["low_freq_factor"],
                high_frequency_factor=rope["high_freq_factor"],
                original_length=rope.get("original_max_position_embeddings") or values["max_position_embeddings"],
            )
        case "yarn":
            for key in ("attention_factor", "mscale", "mscale_all_dim"):
                if rope.get(key) is not None:
                    raise CheckpointError(f"{where}: '{key}' of the RoPE scaling 'yarn' is not covered.")
            if not rope.get("truncate", True):
                raise CheckpointError(f"{where}: the RoPE scaling 'yarn' without 'truncate' is not covered.")
            return YarnScaling(
                factor=rope["factor"],
                slow_turns=rope.get("beta_slow") or 1.0,
                fast_turns=rope.get("beta_fast") or 32.0,
                original_length=rope.get("original_max_position_embeddings") or values["max_position_embeddings"],
            )
        case other:
            known = "default, linear, llama3, yarn"
            raise CheckpointError(f"{where}: the RoPE scaling '{other}' is not known; known: {known}.")


def _windows(values: Mapping[str, Any], layers: int) -> tuple[int | None, ...]:
    """Mistral slides in every layer; Qwen only where ``use_sliding_window``, and from ``max_window_layers`` on."""
    window = values.get("sliding_window")
    if window is None or not values.get("use_sliding_window", values["model_type"] == "mistral"):
        return ()
    kinds = values.get("layer_types")
    if kinds is None:
        first = values.get("max_window_layers", 0)
        kinds = ["sliding_attention" if layer >= first else "full_attention" for layer in range(layers)]
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)


def hub_config(config: ModelConfig, dtype: str) -> dict[str, Any]:
    """The ``config.json`` that `config_from_hub` and transformers read back as `config`."""
    window = next((window for window in config.windows if window is not None), None)
    values: dict[str, Any] = {
        "architectures": [FAMILIES[config.architecture]],
        "model_type": config.architecture,
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.ffn_width,
        "hidden_act": {ours: hub for hub, ours in GATES.items()}[config.feed_forward],
        "rms_norm_eps": config.norm_epsilon,
        "rope_theta": config.rope_theta,
        "rope_scaling": _scaling_to_hub(config.rope_scaling),
        "tie_word_embeddings": config.tied_embeddings,
        "max_position_embeddings": config.max_length,
        "sliding_window": window,
        "bos_token_id": config.bos_id,
        "eos_token_id": config.eos_ids[0] if len(config.eos_ids) == 1 else list(config.eos_ids) or None,
        "dtype": dtype,
    }
    if config.architecture in ("llama", "qwen3"):
        values["attention_bias"] = config.output_bias
    if config.architecture in ("qwen2", "qwen3"):
        values["use_sliding_window"] = window is not None
    if window is not None and config.architecture != "mistral":
        kinds = ("full_attention" if each is None else "sliding_attention" for each in config.windows)
        values["layer_types"] = list(kinds)
    return values


def _scaling_to_hub(scaling: RopeScaling | None) -> dict[str, Any] | None:
    match scaling:
        case None:
            return None
        case LinearScaling(factor=factor):
            return {"rope_type": "linear", "factor": factor}
        case Llama3Scaling():
            return {
                "rope_type": "llama3",
                "factor": scaling.factor,
                "low_freq_factor": scaling.low_frequency_factor,
                "high_freq_factor": scaling.high_frequency_factor,
                "original_max_position_embeddings": scaling.original_length,
            }
        case YarnScaling():
            return {
                "rope_type": "yarn",
                "factor": scaling.factor,
                "beta_slow": scaling.slow_turns,
                "beta_fast": scaling.fast_turns,
                "original_max_position_embeddings": scaling.original_length,
            }
        case NTKScaling():
            raise CheckpointError("the RoPE scaling 'ntk' has no place in a Hugging Face configuration.")


# --------------------------------------------------------------------------- GGUF


def config_from_gguf(file: GGUFFile) -> ModelConfig:
    """The configuration that a GGUF file describes.

    Raises:
        CheckpointError: an architecture or a scaling that the decoder does not cover, or a missing key.
    """
    family = file.require("general.architecture")
    if family not in FAMILIES:
        raise CheckpointError(f"{file.path}: the architecture '{family}' is not known; known: {', '.join(FAMILIES)}.")

    def get(key: str, default: Any = None) -> Any:
        return file.metadata.get(f"{family}.{key}", default)

    for key in GGUF_SIZES:
        _size(file.require(f"{family}.{key}"), f"{family}.{key}", str(file.path))
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
