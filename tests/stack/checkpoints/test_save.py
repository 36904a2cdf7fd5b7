"""What a training saves is what the engine reads and, where the parts are a family's, transformers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import save_file
from stack.architectures.combinations import AXES, config_of
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel

from evalharness.backends.stack import load
from evalharness.errors import UsageError
from evalharness.stack.architectures.composed import composed_to_json
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.families.known import architecture_of
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.checkpoints.convert import convert
from evalharness.stack.checkpoints.load import load_model, load_tokenizer, open_checkpoint
from evalharness.stack.checkpoints.save import save_model
from evalharness.stack.config import LinearScaling, Llama3Scaling, ModelConfig, NTKScaling, YarnScaling
from evalharness.stack.errors import CheckpointError
from evalharness.stack.layers.attention import WholeSequence
from evalharness.stack.tokenization.text import TextTokenizer

IDS = torch.randint(0, 64, (60,), generator=torch.Generator().manual_seed(1))


def model_of(config: ModelConfig) -> Decoder:
    model = Decoder(config)
    initialize(model, seed=2, deviation=0.2)
    random = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        if parameter.dim() == 1:  # biases and norms that can be seen
            parameter.data += torch.randn(parameter.shape, generator=random) * 0.2
    return model.eval().requires_grad_(False)


@pytest.fixture
def tokenizer() -> TextTokenizer:
    words = {"<s>": 0, "</s>": 1} | {f"w{number}": number for number in range(2, 64)}
    made = Tokenizer(WordLevel(words, unk_token="</s>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(["<s>", "</s>"])
    return TextTokenizer(made, special_tokens={"bos_token": "<s>", "eos_token": "</s>"}, add_bos=True)


def logits(model: Decoder) -> torch.Tensor:
    with torch.inference_mode():
        return model.logits(model(IDS, torch.arange(len(IDS)), WholeSequence()))


PLAIN = {"norm": "layer_norm", "feed_forward": "gelu"}
BIASED = {"qkv_bias": True, "output_bias": True, "ffn_bias": True}
BLOOM = {"feed_forward": "gelu_tanh", "embedding_norm": True, "ffn_width": 128}
FAMILY: dict[str, tuple[str, ModelConfig]] = {
    "llama": ("llama", config_of({})),
    "llama tied grouped": ("llama", config_of({}, tied_embeddings=True, kv_heads=2)),
    "llama biased": ("llama", config_of({}, qkv_bias=True, output_bias=True)),
    "llama geglu": ("llama", config_of({}, feed_forward="geglu_tanh", rotary_dim=8, head_dim=8)),
    "llama linear": ("llama", config_of({}, rope_scaling=LinearScaling(factor=2.0))),
    "llama yarn": ("llama", config_of({}, rope_scaling=YarnScaling(factor=4.0, original_length=32))),
    "llama llama3": ("llama", config_of({}, rope_scaling=Llama3Scaling(factor=4.0, original_length=32))),
    "llama wide heads": ("llama", config_of({}, head_dim=16)),
    "mistral": ("mistral", config_of({}, windows=(7, 7))),
    "qwen2": ("qwen2", config_of({}, qkv_bias=True)),
    "qwen2 window": ("qwen2", config_of({}, qkv_bias=True, windows=(7, None))),
    "qwen3": ("qwen3", config_of({}, qk_norm=True, tied_embeddings=True)),
    "qwen3 window": ("qwen3", config_of({}, qk_norm=True, windows=(None, 7))),
    "qwen3 biased": ("qwen3", config_of({}, qk_norm=True, qkv_bias=True, output_bias=True)),
    "mixtral": ("mixtral", config_of({}, experts=4, kv_heads=2)),
    "mixtral window": ("mixtral", config_of({}, experts=3, experts_per_token=1, windows=(7, 7), tied_embeddings=True)),
    "gpt2": ("gpt2", config_of({}, **PLAIN, **BIASED, positions="learned", tied_embeddings=True)),
    "opt": ("opt", config_of({}, **PLAIN, positions="learned")),
    "opt post": ("opt", config_of({}, **PLAIN, **BIASED, positions="learned", residual="post")),
    "neox": ("gpt_neox", config_of({}, **PLAIN, **BIASED, rotary_dim=6)),
    "neox parallel": (
        "gpt_neox",
        config_of({}, **PLAIN, ffn_bias=True, residual="parallel_two_norms", rope_scaling=LinearScaling(factor=2.0)),
    ),
    "bloom": ("bloom", config_of({}, **PLAIN | BLOOM, **BIASED, positions="alibi")),
    "falcon": ("falcon", config_of({}, **PLAIN, residual="parallel", kv_heads=1)),
    "falcon grouped": ("falcon", config_of({}, **PLAIN, **BIASED, residual="parallel_two_norms", kv_heads=2)),
    "falcon alibi": ("falcon", config_of({}, **PLAIN, **BIASED, positions="alibi_rounded")),
}
NO_FAMILY = {
    "layer_norm": {"norm": "layer_norm"},
    "post": {"residual": "post"},
    "plain feed-forward": {"feed_forward": "gelu"},
    "biased feed-forward": {"ffn_bias": True},
    "positions": {"positions": "alibi"},
    "partial": {"rotary_dim": 4},
    "ntk": {"rope_scaling": NTKScaling(factor=2.0)},
    "output bias alone": {"output_bias": True},
    "windows in part": {"windows": (7, None)},
    "windows with all biases": {"windows": (7, 7), "qkv_bias": True, "output_bias": True},
    "positions of BLOOM without a norm of the embedding": PLAIN | BIASED | {"positions": "alibi"},
    "one key head with GPT-2's parts": PLAIN | BIASED | {"positions": "learned", "kv_heads": 1},
    "falcon one after the other, grouped": PLAIN | {"kv_heads": 2},
    "biased experts": {"experts": 4, "ffn_bias": True},
    "two windows": {"windows": (7, 9), "qk_norm": True},
    "qk_norm and biases in part": {"qk_norm": True, "qkv_bias": True},
    "heads that do not divide": {"width": 30},
}


@pytest.mark.parametrize("case", FAMILY)
def test_a_familys_parts_are_written_as_transformers_reads_them(case, tmp_path, tokenizer):
    family, config = FAMILY[case]
    config = dataclasses.replace(config, bos_id=0, eos_ids=(1,))
    assert architecture_of(config) == family
    model = model_of(config)
    save_model(tmp_path, config, model.state_dict(), tokenizer)
    # transformers' eager attention adds Falcon's ALiBi twice.
    kind = "sdpa" if config.positions == "alibi_rounded" else "eager"
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation=kind)
    assert theirs.config.model_type == family
    with torch.inference_mode():
        torch.testing.assert_close(theirs(IDS[None]).logits[0], logits(model), atol=1e-4, rtol=1e-4)
    assert theirs.generation_config.eos_token_id == 1
    # transformers 5 takes Qwen2's own tokenizer for every model of that type, whatever the folder says.
    kind = transformers.PreTrainedTokenizerFast if family == "qwen2" else transformers.AutoTokenizer
    fast = kind.from_pretrained(tmp_path)
    assert (fast("w3 w5").input_ids, fast.model_max_length) == ([3, 5], 512)
    back, read = load_model(tmp_path)
    assert torch.equal(logits(back), logits(model))
    turned = None if config.rotary_dim == config.head_dim else config.rotary_dim
    assert read == dataclasses.replace(config, architecture=family, rotary_dim=turned)


@pytest.mark.parametrize("case", NO_FAMILY)
def test_other_parts_are_no_familys(case):
    assert architecture_of(config_of({}, **NO_FAMILY[case])) == "composed"


COMPOSED = [{axis: name} for axis, names in AXES.items() for name in names]
COMPOSED = [chosen for chosen in COMPOSED if architecture_of(config_of(chosen)) == "composed"]


@pytest.mark.parametrize("chosen", COMPOSED, ids=str)
def test_a_composed_model_comes_back(chosen, tmp_path, tokenizer):
    config = config_of(chosen, bos_id=0, eos_ids=(1, 5))
    model = model_of(config)
    save_model(tmp_path, config, model.state_dict(), tokenizer)
    back, read = load_model(tmp_path)
    assert read == config
    assert torch.equal(logits(back), logits(model))
    assert load_tokenizer(tmp_path).fingerprint == tokenizer.fingerprint
    assert open_checkpoint(tmp_path).parameters == sum(parameter.numel() for parameter in model.parameters())


def test_embeddings_of_another_width_come_back(tmp_path):
    config = config_of({}, embedding_width=16, tied_embeddings=True)
    model = model_of(config)
    assert (model.embedding.weight.shape, model.head.weight.shape) == ((64, 16), (64, 16))
    save_model(tmp_path, config, model.state_dict(), None)
    back, read = load_model(tmp_path)
    assert read == config
    assert torch.equal(logits(back), logits(model))


def test_bf16_stays_bf16_and_a_tokenizer_may_be_left_out(tmp_path):
    model = model_of(config_of({})).to(torch.bfloat16)
    save_model(tmp_path, model.config, model.state_dict(), None)
    assert (open_checkpoint(tmp_path).quantisation, (tmp_path / "tokenizer.json").exists()) == ("BF16", False)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"


def test_a_checkpoint_of_a_family_keeps_its_name(tmp_path):
    config = dataclasses.replace(config_of({}), architecture="mistral")
    save_model(tmp_path, config, model_of(config).state_dict(), None)
    assert open_checkpoint(tmp_path).config.architecture == "mistral"


# --------------------------------------------------------------------------- composed checkpoints of users


@pytest.fixture
def composed(tmp_path, tokenizer) -> Path:
    """GPT-2's parts, with norms that no family has."""
    folder = tmp_path / "composed"
    folder.mkdir()
    config = config_of({}, **PLAIN, residual="sandwich", positions="learned", max_length=128)
    save_model(folder, config, model_of(config).state_dict(), tokenizer)
    return folder


def rewrite(folder: Path, **changes) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def test_convert_refuses_parts_that_no_family_has(composed, tmp_path):
    with pytest.raises(CheckpointError, match="is made of parts that no family of Hugging Face's has") as told:
        convert(composed, tmp_path / "target")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "target").exists()


def test_convert_takes_a_composed_folder_whose_parts_are_a_familys(composed, tmp_path):
    model = model_of(config_of({}))
    save_file(model.state_dict(), composed / "model.safetensors")
    (composed / "config.json").write_text(json.dumps(composed_to_json(model.config)))
    convert(composed, tmp_path / "target")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "target")
    with torch.inference_mode():
        torch.testing.assert_close(theirs(IDS[None]).logits[0], logits(model), atol=1e-4, rtol=1e-4)


def test_learned_positions_end_where_they_end(composed):
    with pytest.raises(UsageError, match="--max-length 200: composed was made for at most 128 tokens"):
        load(str(composed), max_length=200)
    assert load(str(composed), max_length=100).info.max_length == 100


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": None}, "the key 'width' is missing; it is not a complete configuration"),
        ({"norm": "rmsnorm"}, "no norm is called 'rmsnorm'; did you mean 'rms_norm'"),
        ({"norm": "rms_norm"}, "the weights 'blocks.0.attention_end_norm.bias' belong to no part"),
        ({"ffn_bias": True}, r"lacks the weights 'blocks\.0\.feed_forward\.up\.bias'"),
        ({"max_length": 200}, r"'positions\.weight' have the shape \(128, 32\), but the configuration asks for \(200"),
    ],
)
def test_a_broken_composed_folder_is_refused_in_a_sentence(composed, changes, sentence):
    rewrite(composed, **changes)
    with pytest.raises(CheckpointError, match=sentence) as told:
        load_model(composed)
    assert "\n" not in str(told.value)


def test_what_ends_a_text_may_be_changed_in_the_generation_configuration(composed):
    (composed / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 9]}))
    assert open_checkpoint(composed).config.eos_ids == (7, 9)
