"""Configurations of families: there and back, as transformers reads them, and what is refused."""

import dataclasses

import pytest
import torch
import transformers
from stack.architectures.family_cases import CASES, LLAMA3, YARN

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.families.known import config_from_hub, hub_config
from evalharness.stack.errors import CheckpointError


@pytest.mark.parametrize("case", CASES)
def test_transformers_reads_our_configuration(case):
    theirs = CASES[case]
    config = config_from_hub(theirs.to_dict(), "config.json")
    values = hub_config(config, "float32")
    assert config_from_hub(values, "config.json") == config
    read = transformers.AutoConfig.for_model(**values)
    for key in ("rope_parameters", "layer_types", "tie_word_embeddings", "num_key_value_heads", "num_kv_heads"):
        assert getattr(read, key, None) == getattr(theirs, key, None), key


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"model_type": "gptj"},
            "architecture 'gptj' is not known; known: llama, mistral, qwen2, qwen3, mixtral, gpt2",
        ),
        ({"hidden_size": None}, "the key 'hidden_size' is missing"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"rope_parameters": {"rope_type": "longrope", "rope_theta": 1.0}}, "RoPE scaling 'longrope' is not known"),
        ({"rope_parameters": YARN | {"mscale": 0.7}}, "'mscale' of the RoPE scaling 'yarn' is not covered"),
        ({"rope_parameters": YARN | {"truncate": False}}, "'yarn' without 'truncate' is not covered"),
        (
            {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}},
            "turned in part .partial_rotary",
        ),
        ({"hidden_act": "quick_gelu"}, "the activation 'quick_gelu' is not known; known: silu, gelu"),
    ],
)
def test_what_is_not_covered_is_refused_in_a_sentence(change, sentence):
    values = {**CASES["llama"].to_dict(), **change}
    values = {key: value for key, value in values.items() if value is not None}
    with pytest.raises(CheckpointError, match=sentence):
        config_from_hub(values, "folder/config.json")


def test_the_old_spelling_of_the_scaling_is_read():
    values = CASES["llama"].to_dict()
    del values["rope_parameters"]
    values |= {"rope_theta": 500_000.0, "rope_scaling": {key: LLAMA3[key] for key in LLAMA3 if key != "rope_theta"}}
    config = config_from_hub(values, "config.json")
    assert config.rope_theta == 500_000.0
    assert dataclasses.asdict(config.rope_scaling) == {
        "factor": 8.0,
        "low_frequency_factor": 1.0,
        "high_frequency_factor": 4.0,
        "original_length": 64,
    }


PUBLISHED = {
    "gpt2": (
        124_439_808,
        {
            "model_type": "gpt2",
            "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-5,
            "n_ctx": 1024,
            "n_embd": 768,
        }
        | {"n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257},
    ),
    "pythia-70m": (
        70_426_624,
        {"model_type": "gpt_neox", "hidden_act": "gelu", "hidden_size": 512, "intermediate_size": 2048}
        | {"layer_norm_eps": 1e-5, "max_position_embeddings": 2048, "num_attention_heads": 8, "num_hidden_layers": 6}
        | {"rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": False, "use_parallel_residual": True}
        | {"vocab_size": 50304},
    ),
    "opt-125m": (
        125_239_296 - 2 * 768,  # rows of positions that nothing reads
        {"model_type": "opt", "activation_function": "relu", "do_layer_norm_before": True, "ffn_dim": 3072}
        | {"hidden_size": 768, "max_position_embeddings": 2048, "num_attention_heads": 12, "num_hidden_layers": 12}
        | {"vocab_size": 50272, "word_embed_proj_dim": 768},
    ),
    "opt-350m": (
        331_196_416 - 2 * 1024,
        {"model_type": "opt", "activation_function": "relu", "do_layer_norm_before": False, "ffn_dim": 4096}
        | {"hidden_size": 1024, "max_position_embeddings": 2048, "num_attention_heads": 16, "num_hidden_layers": 24}
        | {"vocab_size": 50272, "word_embed_proj_dim": 512},
    ),
    "bloom-560m": (
        559_214_592,
        {"model_type": "bloom", "apply_residual_connection_post_layernorm": False, "layer_norm_epsilon": 1e-5}
        | {"n_embed": 1024, "n_layer": 24, "num_attention_heads": 16, "vocab_size": 250880, "n_inner": None},
    ),
    "falcon-7b": (
        6_921_720_704,
        {"model_type": "falcon", "alibi": False, "bias": False, "hidden_size": 4544, "layer_norm_epsilon": 1e-5}
        | {"multi_query": True, "new_decoder_architecture": False, "num_attention_heads": 71, "num_hidden_layers": 32}
        | {"parallel_attn": True, "vocab_size": 65024},
    ),
    "Mixtral-8x7B": (
        46_702_792_704,
        {"model_type": "mixtral", "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336}
        | {"max_position_embeddings": 32768, "num_attention_heads": 32, "num_experts_per_tok": 2}
        | {"num_hidden_layers": 32, "num_key_value_heads": 8, "num_local_experts": 8, "rms_norm_eps": 1e-5}
        | {"rope_theta": 1e6, "sliding_window": None, "tie_word_embeddings": False, "vocab_size": 32000},
    ),
}
"""Numbers in the model, and what its ``config.json`` says of them, in the keys of its time."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_configuration_is_as_large_as_the_published_model(name):
    expected, values = PUBLISHED[name]
    with torch.device("meta"):
        model = Decoder(config_from_hub(values, "config.json"))
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
