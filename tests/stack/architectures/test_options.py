"""The section `model` of a pretraining's YAML."""

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from evalharness.errors import DataError
from evalharness.options import parse_options
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.options import PRESETS, ModelOptions
from evalharness.stack.config import LinearScaling, Llama3Scaling, ModelConfig, NTKScaling, YarnScaling
from evalharness.stack.errors import TrainingError

TINY = {"layers": 4, "width": 96, "heads": 6}


def config_of(vocab_size: int = 100, max_length: int = 64, **values) -> ModelConfig:
    options = ModelOptions.model_validate(TINY | values)
    return options.to_config(vocab_size, max_length, bos_id=1, eos_ids=(2, 3))


def parameters(config: ModelConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Decoder(config).parameters())


def test_what_is_not_given_is_llamas():
    assert config_of() == ModelConfig(
        vocab_size=128,
        width=96,
        layers=4,
        heads=6,
        kv_heads=6,
        head_dim=16,
        ffn_width=256,
        norm_epsilon=1e-5,
        max_length=64,
        bos_id=1,
        eos_ids=(2, 3),
    )


def test_sizes_follow_the_width():
    assert config_of(feed_forward="gelu").ffn_width == 4 * 96
    assert config_of(width=384).ffn_width == 1024
    assert config_of(width=396).ffn_width == 1088
    assert config_of(head_dim=10, kv_heads=2).head_dim == 10
    assert config_of(vocab_size=128).vocab_size == 128
    assert config_of(vocab_size=129).vocab_size == 192
    assert ModelOptions.model_validate(TINY | {"vocab_size": 130}).to_config(129, 8, None, ()).vocab_size == 130


@pytest.mark.parametrize(
    ("biases", "found"),
    [
        ("none", (False, False, False)),
        ("qkv", (True, False, False)),
        ("attention", (True, True, False)),
        ("all", (True, True, True)),
    ],
)
def test_biases(biases, found):
    config = config_of(biases=biases)
    assert (config.qkv_bias, config.output_bias, config.ffn_bias) == found


def test_experts():
    assert config_of().experts is None
    config = config_of(experts=4, experts_per_token=3, embedding_norm=True)
    assert (config.experts, config.experts_per_token, config.embedding_norm) == (4, 3, True)


def test_windows():
    assert config_of(window=8).windows == (8, 8, 8, 8)
    assert config_of(window=8, full_every=2).windows == (8, None, 8, None)
    assert config_of(window=8, full_every=4).windows == (8, 8, 8, None)
    assert config_of(window=8, full_every=5).windows == (8, 8, 8, 8)


@pytest.mark.parametrize(
    ("values", "scaling"),
    [
        ({"kind": "linear", "factor": 2}, LinearScaling(factor=2.0)),
        ({"kind": "ntk", "factor": 2}, NTKScaling(factor=2.0)),
        ({"kind": "yarn", "factor": 2, "original_length": 32}, YarnScaling(factor=2.0, original_length=32)),
        (
            {"kind": "llama3", "factor": 2, "original_length": 32, "low_frequency_factor": 2},
            Llama3Scaling(factor=2.0, original_length=32, low_frequency_factor=2.0),
        ),
    ],
)
def test_scalings(values, scaling):
    assert config_of(rope_scaling=values).rope_scaling == scaling


def test_gpt2s_smallest_has_its_shape():
    """124,439,808 parameters, as GPT2LMHeadModel of transformers counts them."""
    options = ModelOptions.model_validate({"preset": "gpt2-124m", "vocab_size": 50_257})
    config = options.to_config(50_257, 1024, 50_256, (50_256,))
    assert (config.layers, config.heads, config.width, config.norm_epsilon) == (12, 12, 768, 1e-5)
    assert (config.norm, config.positions, config.feed_forward) == ("layer_norm", "learned", "gelu_tanh")
    assert parameters(config) == 124_439_808


@pytest.mark.parametrize(("name", "count"), [("llama-5m", 5_048_576), ("llama-28m", 27_795_968)])
def test_a_preset_has_the_parameters_of_its_name(name, count):
    assert parameters(ModelOptions.model_validate({"preset": name}).to_config(8192, 512, None, ())) == count


def test_a_preset_is_changed_by_the_other_keys():
    options = ModelOptions.model_validate({"preset": "gpt2-124m", "layers": 2, "positions": "alibi"})
    config = options.to_config(300, 64, None, ())
    assert (config.layers, config.positions, config.width, config.tied_embeddings) == (2, "alibi", 768, True)
    for values in PRESETS.values():
        ModelOptions.model_validate(values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"norm": "layernorm"},
            "no norm is called 'layernorm'; did you mean 'layer_norm'? Known: layer_norm,",
        ),
        ({"residual": "sandwhich"}, "no residual is called 'sandwhich'; did you mean 'sandwich'?"),
        ({"feed_forward": "SwiGLU"}, "did you mean 'swiglu'?"),
        ({"experts": 2, "experts_per_token": 3}, "experts_per_token is 3; give a number from 1 to experts, 2"),
        ({"positions": "alibi_rounded", "kv_heads": 1}, "need a key head for each of the 6 query heads"),
        (
            {"positions": "rotary"},
            "no positions is called 'rotary'; known: none, sinusoidal, learned, rope, xpos",
        ),
        ({"preset": "gpt2"}, "no preset is called 'gpt2'; did you mean 'gpt2-124m'?"),
        ({"rope_scaling": {"kind": "yarm", "factor": 2}}, "no scaling is called 'yarm'; did you mean 'yarn'?"),
        ({"rope_scaling": {"kind": "yarn", "factor": 2}}, "yarn needs original_length"),
        ({"rope_scaling": {"kind": "ntk", "factor": 2, "fast_turns": 3}}, "ntk takes no fast_turns; it takes: factor"),
        ({"rope_scaling": {"kind": "ntk", "factor": 2}, "rotary_dim": 2}, "needs at least 4 numbers"),
        ({"rope_scaling": {"kind": "llama3", "factor": 2, "original_length": 9, "low_frequency_factor": 5}}, "below"),
        ({"rotary_dim": 7}, "7 numbers of a head of 16 cannot be turned in pairs"),
        ({"rotary_dim": 18}, "18 numbers of a head of 16 cannot be turned in pairs"),
        ({"head_dim": 15}, "15 numbers of a head of 15 cannot be turned in pairs"),
        ({"positions": "alibi", "rotary_dim": 4}, "are for the positions rope and xpos, not 'alibi'"),
        ({"kv_heads": 4}, "6 query heads cannot share 4 key heads evenly"),
        ({"width": 100}, "a width of 100 cannot be shared evenly by 6 heads"),
        ({"full_every": 2}, "no window is given"),
        ({"widht": 3}, "widht: unknown key; did you mean 'width'?"),
        ({"layers": 0}, "layers: Input should be greater than or equal to 1, not 0"),
        ({"biases": "some"}, "biases: Input should be 'none', 'qkv', 'attention' or 'all', not 'some'"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(values, sentence):
    with pytest.raises(DataError) as told:
        parse_options(ModelOptions, TINY | values, "train.yaml")
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)


def test_sizes_are_needed():
    with pytest.raises(ValidationError, match="heads"):
        ModelOptions.model_validate({"layers": 2, "width": 8})


@pytest.mark.parametrize(
    ("values", "asked", "sentence"),
    [
        ({"vocab_size": 99}, {}, "vocab_size is 99, but the tokenizer has 100 tokens"),
        ({"positions": "xpos"}, {"max_length": 32_769}, "the positions 'xpos' reach to 32,768 tokens, not 32,769"),
        ({"positions": "alibi"}, {"max_length": 100_000}, "the positions 'alibi' reach to 65,536 tokens, not 100,000"),
    ],
)
def test_what_the_data_asks_too_much_of(values, asked, sentence):
    options = ModelOptions.model_validate(TINY | values)
    with pytest.raises(TrainingError, match=sentence):
        options.to_config(**({"vocab_size": 100, "max_length": 64, "bos_id": None, "eos_ids": ()} | asked))


def test_reading_the_options_loads_no_torch():
    script = (
        "import sys; from evalharness.stack.architectures.options import ModelOptions; "
        "ModelOptions(preset='gpt2-124m').to_config(300, 64, None, ()); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
