"""Three or more small models of every family, as transformers makes them."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import nn

VOCABULARY = 110
ENDS: dict[str, Any] = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
GPT2 = {"n_positions": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, **ENDS}
WIDE = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 96, **ENDS}
NEOX = WIDE | {"intermediate_size": 80}
OPT = WIDE | {"ffn_dim": 80}
BLOOM = {"hidden_size": 48, "n_layer": 2, **ENDS}
LLAMA = NEOX | {"num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2}
MIXTRAL = NEOX | {"num_key_value_heads": 2, "num_local_experts": 4}
FORTY_B = {"new_decoder_architecture": True, "num_kv_heads": 2}
RW = {"alibi": True, "multi_query": False, "parallel_attn": False, "bias": True}


def rope(**more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 1000.0} | more}


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "beta_slow": 2.0,
    "beta_fast": 24.0,
    "original_max_position_embeddings": 128,
}
CASES: dict[str, transformers.PreTrainedConfig] = {
    "llama": transformers.LlamaConfig(**LLAMA),
    "llama tied, biased": transformers.LlamaConfig(**LLAMA, tie_word_embeddings=True, attention_bias=True),
    "llama scaled as 3": transformers.LlamaConfig(**LLAMA, rope_parameters=LLAMA3),
    "llama scaled by yarn": transformers.LlamaConfig(**LLAMA, rope_parameters=YARN),
    "llama scaled evenly": transformers.LlamaConfig(**LLAMA, **rope(rope_type="linear", factor=4.0)),
    "llama geglu": transformers.LlamaConfig(**LLAMA, hidden_act="gelu_pytorch_tanh"),
    "mistral window": transformers.MistralConfig(**LLAMA, sliding_window=10, head_dim=16),
    "mistral": transformers.MistralConfig(**LLAMA, sliding_window=None),
    "mistral one key head, tied": transformers.MistralConfig(
        **LLAMA | {"num_key_value_heads": 1}, sliding_window=25, tie_word_embeddings=True
    ),
    "qwen2": transformers.Qwen2Config(**LLAMA),
    "qwen2 window": transformers.Qwen2Config(**LLAMA, use_sliding_window=True, sliding_window=10, max_window_layers=1),
    "qwen2 tied": transformers.Qwen2Config(**LLAMA | {"num_key_value_heads": 6}, tie_word_embeddings=True),
    "qwen3 tied": transformers.Qwen3Config(**LLAMA, head_dim=16, tie_word_embeddings=True),
    "qwen3 window": transformers.Qwen3Config(**LLAMA, use_sliding_window=True, sliding_window=10, max_window_layers=2),
    "qwen3 biased": transformers.Qwen3Config(**LLAMA, attention_bias=True),
    "gpt2": transformers.GPT2Config(**GPT2),
    "gpt2 relu, untied": transformers.GPT2Config(
        **GPT2, n_inner=80, activation_function="relu", tie_word_embeddings=False
    ),
    "gpt2 three layers": transformers.GPT2Config(**GPT2 | {"n_layer": 3, "n_head": 2}, layer_norm_epsilon=1e-3),
    "gpt_neox": transformers.GPTNeoXConfig(**NEOX, **rope(partial_rotary_factor=1 / 3)),
    "gpt_neox in turn, scaled": transformers.GPTNeoXConfig(
        **NEOX,
        use_parallel_residual=False,
        hidden_act="gelu_fast",
        **rope(rope_type="linear", factor=4.0, partial_rotary_factor=0.5),
    ),
    "gpt_neox whole heads, tied": transformers.GPTNeoXConfig(
        **NEOX, attention_bias=False, tie_word_embeddings=True, **rope(partial_rotary_factor=1.0)
    ),
    "opt": transformers.OPTConfig(**OPT),
    "opt post, untied": transformers.OPTConfig(**OPT, do_layer_norm_before=False, tie_word_embeddings=False),
    "opt 350m": transformers.OPTConfig(**OPT, do_layer_norm_before=False, word_embed_proj_dim=32),
    "opt without biases": transformers.OPTConfig(
        **OPT | {"num_hidden_layers": 3}, enable_bias=False, activation_function="gelu"
    ),
    "bloom": transformers.BloomConfig(**BLOOM, n_head=4),
    "bloom six heads": transformers.BloomConfig(**BLOOM, n_head=6),
    "bloom untied": transformers.BloomConfig(**BLOOM | {"n_layer": 3}, n_head=2, tie_word_embeddings=False),
    "falcon 7b": transformers.FalconConfig(**WIDE, **rope()),
    "falcon 40b": transformers.FalconConfig(**WIDE, **FORTY_B, bias=True, ffn_hidden_size=80),
    "falcon 11b": transformers.FalconConfig(
        **WIDE, **FORTY_B, num_ln_in_parallel_attn=1, tie_word_embeddings=False, **rope(rope_type="linear", factor=2.0)
    ),
    "falcon rw": transformers.FalconConfig(**WIDE | {"num_attention_heads": 6}, **RW),
    "falcon rw parallel": transformers.FalconConfig(**WIDE, **RW | {"parallel_attn": True, "bias": False}),
    "mixtral": transformers.MixtralConfig(**MIXTRAL),
    "mixtral window": transformers.MixtralConfig(
        **MIXTRAL | {"num_local_experts": 3}, sliding_window=10, num_experts_per_tok=1
    ),
    "mixtral three of eight, tied": transformers.MixtralConfig(
        **MIXTRAL | {"num_local_experts": 8}, num_experts_per_tok=3, tie_word_embeddings=True, head_dim=16
    ),
}


def attention_of(config: transformers.PreTrainedConfig) -> str:
    """transformers 5.24's eager attention adds Falcon's ALiBi twice, once of it in the mask."""
    return "sdpa" if getattr(config, "alibi", False) else "eager"


def made(case: str) -> nn.Module:
    """transformers' model of a case, biases and norms made visible by random numbers."""
    torch.manual_seed(3)
    config = CASES[case]
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention_of(config)).eval()
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * 0.2
    return model
