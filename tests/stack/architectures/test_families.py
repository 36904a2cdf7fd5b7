"""Every family against transformers: tiny random models, saved by transformers, read by us."""

import dataclasses
from pathlib import Path

import pytest
import torch
import transformers

from evalharness.stack.architectures.families import config_from_hub, hub_config
from evalharness.stack.checkpoints.load import load_model
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import ScoreJob
from evalharness.stack.errors import CheckpointError
from evalharness.stack.layers.attention import WholeSequence

TINY = {
    "vocab_size": 120,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
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
CASES = {
    "llama": transformers.LlamaConfig(**TINY),
    "llama-tied-biased": transformers.LlamaConfig(**TINY, tie_word_embeddings=True, attention_bias=True),
    "llama-rope-llama3": transformers.LlamaConfig(**TINY, rope_parameters=LLAMA3),
    "llama-rope-yarn": transformers.LlamaConfig(**TINY, rope_parameters=YARN),
    "llama-geglu": transformers.LlamaConfig(**TINY, hidden_act="gelu_pytorch_tanh"),
    "llama-rope-linear": transformers.LlamaConfig(
        **TINY, rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10_000.0}
    ),
    "mistral-window": transformers.MistralConfig(**TINY, sliding_window=10, head_dim=16),
    "mistral-full": transformers.MistralConfig(**TINY, sliding_window=None),
    "qwen2": transformers.Qwen2Config(**TINY),
    "qwen2-window": transformers.Qwen2Config(**TINY, use_sliding_window=True, sliding_window=10, max_window_layers=1),
    "qwen3": transformers.Qwen3Config(**TINY, head_dim=16, tie_word_embeddings=True),
}


@pytest.fixture(params=CASES, scope="module")
def saved(request, tmp_path_factory):
    """A folder, and transformers' model in it, biases and norms made visible by random numbers."""
    torch.manual_seed(3)
    theirs = transformers.AutoModelForCausalLM.from_config(CASES[request.param], attn_implementation="eager").eval()
    for parameter in theirs.parameters():
        parameter.data += torch.randn_like(parameter) * 0.2
    folder = tmp_path_factory.mktemp(request.param)
    theirs.save_pretrained(folder)
    return folder, theirs


def full_logits(model, ids: torch.Tensor) -> torch.Tensor:
    return model.logits(model(ids, torch.arange(len(ids)), WholeSequence()))


@torch.inference_mode()
def test_logits_equal_those_of_transformers(saved):
    folder, theirs = saved
    model, _ = load_model(folder)
    ids = torch.randint(0, 120, (90,), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(full_logits(model, ids), theirs(ids[None]).logits[0], atol=1e-4, rtol=0)


class Keeping:
    """A listener that keeps the result."""

    cancelled = False

    def begin(self) -> None: ...

    def done(self, result) -> None:
        self.log_likelihoods = result.log_likelihoods

    def failed(self, error) -> None:
        raise error


@pytest.mark.parametrize("numerics", ["fast", "exact"])
def test_the_engine_scores_as_a_whole_pass_does(saved, numerics):
    model, _ = load_model(saved[0])
    ids = torch.randint(0, 120, (150,), generator=torch.Generator().manual_seed(2))
    ends = [ids[:60], torch.cat([ids[:50], ids[90:]]), ids]
    jobs = [ScoreJob(ids=tuple(end.tolist()), start=1, listener=Keeping()) for end in ends]
    pending = [jobs]
    Engine(model, str, numerics=numerics, batch_tokens=40, check=True).run(lambda: pending.pop() if pending else [])
    for end, job in zip(ends, jobs, strict=True):
        with torch.inference_mode():
            expected = full_logits(model, end).log_softmax(-1)[:-1].gather(1, end[1:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(job.listener.log_likelihoods), expected, atol=1e-4, rtol=0)


def test_a_configuration_survives_the_way_to_the_hub_and_back(saved):
    _, config = load_model(saved[0])
    assert config_from_hub(hub_config(config, "float32"), "config.json") == config


def test_transformers_reads_our_configuration(saved):
    _, theirs = saved
    _, config = load_model(saved[0])
    values = hub_config(config, "float32")
    read = transformers.AutoConfig.for_model(**values)
    assert read.rope_parameters == theirs.config.rope_parameters
    assert getattr(read, "layer_types", None) == getattr(theirs.config, "layer_types", None)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_type": "gpt2"}, "architecture 'gpt2' is not known; known: llama, mistral, qwen2, qwen3"),
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


def test_missing_weights_are_named(saved, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    for name in ("config.json", "generation_config.json"):
        if (saved[0] / name).exists():
            (tmp_path / name).write_bytes((saved[0] / name).read_bytes())
    tensors = load_file(saved[0] / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks the weights 'model\.layers\.1\.mlp\.up_proj\.weight'"):
        load_model(tmp_path)
