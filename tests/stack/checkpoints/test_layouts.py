"""Folders as they lie about: of older versions, without a head, in shards, and broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from stack.architectures.combinations import config_of
from torch import Tensor

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.families.known import FAMILIES, architecture_of, config_from_hub, hub_config
from evalharness.stack.checkpoints.load import load_model
from evalharness.stack.checkpoints.save import save_model
from evalharness.stack.config import LinearScaling, ModelConfig
from evalharness.stack.errors import CheckpointError

BIASED = {"qkv_bias": True, "output_bias": True, "ffn_bias": True}
PLAIN = {"norm": "layer_norm", "feed_forward": "gelu_tanh"}
MODELS: dict[str, ModelConfig] = {
    "llama": config_of({}, rope_scaling=LinearScaling(factor=2.0)),
    "mixtral": config_of({}, experts=3, kv_heads=2),
    "gpt2": config_of({}, **PLAIN, **BIASED, positions="learned", tied_embeddings=True, max_length=40),
    "gpt_neox": config_of({}, **PLAIN, **BIASED, residual="parallel_two_norms", rotary_dim=4),
    "opt": config_of({}, **PLAIN, **BIASED, positions="learned", residual="post", tied_embeddings=True, max_length=40),
    "bloom": config_of(
        {}, **PLAIN, **BIASED, positions="alibi", embedding_norm=True, ffn_width=128, tied_embeddings=True
    ),
    "falcon": config_of({}, **PLAIN, residual="parallel", kv_heads=1, tied_embeddings=True),
}
Tensors = dict[str, Tensor]


@pytest.fixture
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Decoder]:
    """A folder of the family that the test's first parameter names, and the model in it."""
    config = MODELS[request.param]
    assert architecture_of(config) == request.param
    torch.manual_seed(4)
    model = Decoder(config).requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_()
    save_model(tmp_path, config, model.state_dict(), None)
    return tmp_path, model


def of(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("written", names, indirect=True)


def rewrite(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    path = folder / "model.safetensors"
    changed = change(load_file(path))
    save_file({name: tensor.contiguous() for name, tensor in changed.items()}, path)


def is_read(folder: Path, model: Decoder) -> None:
    found, _ = load_model(folder)
    for name, tensor in model.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name


# --------------------------------------------------------------------------- read all the same


@of("gpt2", "bloom", "opt", "falcon")
def test_a_folder_of_a_model_without_a_head_has_shorter_names(written: tuple[Path, Decoder]) -> None:
    folder, model = written
    prefix = FAMILIES[json.loads((folder / "config.json").read_text())["model_type"]].prefix
    rewrite(folder, lambda tensors: {name.removeprefix(prefix): tensor for name, tensor in tensors.items()})
    assert not any(name.startswith(prefix) for name in load_file(folder / "model.safetensors"))
    is_read(folder, model)


@pytest.mark.parametrize(
    ("written", "leftovers"),
    [
        ("gpt2", ("transformer.h.0.attn.bias", "transformer.h.1.attn.masked_bias")),
        ("gpt_neox", ("gpt_neox.layers.0.attention.bias", "gpt_neox.layers.1.attention.rotary_emb.inv_freq")),
        ("llama", ("model.layers.0.self_attn.rotary_emb.inv_freq",)),
    ],
    indirect=["written"],
)
def test_what_older_versions_wrote_beside_is_left(written: tuple[Path, Decoder], leftovers: tuple[str, ...]) -> None:
    folder, model = written
    rewrite(folder, lambda tensors: tensors | {name: torch.ones(3) for name in leftovers})
    is_read(folder, model)


@of("gpt_neox")
def test_a_head_may_have_either_name(written: tuple[Path, Decoder]) -> None:
    folder, model = written
    rewrite(folder, lambda tensors: {"lm_head.weight": tensors.pop("embed_out.weight")} | tensors)
    is_read(folder, model)


@of("mixtral")
def test_experts_may_be_stacked(written: tuple[Path, Decoder]) -> None:
    folder, model = written

    def stacked(tensors: Tensors) -> Tensors:
        found = {name: tensor for name, tensor in tensors.items() if "block_sparse_moe" not in name}
        for layer in range(2):
            old, new = f"model.layers.{layer}.block_sparse_moe", f"model.layers.{layer}.mlp"
            w1, w2, w3 = ([tensors[f"{old}.experts.{e}.{w}.weight"] for e in range(3)] for w in ("w1", "w2", "w3"))
            found[f"{new}.experts.gate_up_proj"] = torch.cat((torch.stack(w1), torch.stack(w3)), dim=1)
            found[f"{new}.experts.down_proj"] = torch.stack(w2)
            found[f"{new}.gate.weight"] = tensors[f"{old}.gate.weight"]
        return found

    rewrite(folder, stacked)
    is_read(folder, model)
    again = folder / "again"
    again.mkdir()
    save_model(again, model.config, load_model(folder)[0].state_dict(), None)
    is_read(again, model)


@of("gpt2", "falcon")
def test_a_tied_head_may_be_stored_as_well(written: tuple[Path, Decoder]) -> None:
    folder, model = written
    rewrite(folder, lambda tensors: tensors | {"lm_head.weight": model.embedding.weight.detach().clone()})
    is_read(folder, model)


# --------------------------------------------------------------------------- refused


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as told:
        load_model(folder)
    assert "\n" not in str(told.value)
    return str(told.value)


@of("gpt2", "falcon")
def test_a_tied_head_that_differs_is_refused(written: tuple[Path, Decoder]) -> None:
    folder, model = written
    rewrite(folder, lambda tensors: tensors | {"lm_head.weight": model.embedding.weight.detach() + 1})
    assert "config.json ties 'lm_head.weight' to the embedding (tie_word_embeddings), but the two differ" in refused(
        folder
    )


@of(*MODELS)
def test_any_missing_or_extra_tensor_is_named(written: tuple[Path, Decoder]) -> None:
    folder, _ = written
    whole = load_file(folder / "model.safetensors")
    missing = sorted(whole)[len(whole) // 2]
    rewrite(folder, lambda tensors: {name: tensor for name, tensor in tensors.items() if name != missing})
    assert f"lacks the weights '{missing}'; it is not a complete checkpoint" in refused(folder)
    extra = missing.replace(".weight", ".weights").replace(".bias", ".biases")
    rewrite(folder, lambda _: whole | {extra: torch.ones(2)})
    assert f"the weights '{extra}' belong to no part that the configuration names" in refused(folder)


@of("gpt2", "gpt_neox", "falcon", "mixtral")
def test_a_tensor_of_another_shape_is_named(written: tuple[Path, Decoder]) -> None:
    folder, _ = written
    whole = load_file(folder / "model.safetensors")
    name = next(name for name in sorted(whole) if whole[name].dim() == 2 and ".0." in name)
    rewrite(folder, lambda tensors: tensors | {name: tensors[name][:5, :7].clone()})
    assert f"the weights '{name}' have the shape (" in refused(folder)


@of("bloom")
def test_a_shard_that_is_missing_is_named(written: tuple[Path, Decoder]) -> None:
    folder, model = written
    whole = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(whole)}
    for shard in set(places.values()):
        save_file({name: tensor for name, tensor in whole.items() if places[name] == shard}, folder / shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    is_read(folder, model)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors is missing, but model.safetensors.index.json names it" in refused(folder)


@pytest.mark.parametrize(
    ("family", "changes", "sentence"),
    [
        ("gpt2", {"model_type": "gptj"}, "the architecture 'gptj' is not known; known: llama, mistral, qwen2, qwen3, "),
        ("gpt2", {"n_embd": None}, "the key 'n_embd' is missing"),
        ("gpt2", {"n_head": 2.5}, "the key 'n_head' must be a whole number of at least 1, not 2.5"),
        ("gpt2", {"activation_function": "tanh"}, "the activation 'tanh' is not known; known: gelu, "),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "is True, but only false is covered"),
        ("gpt_neox", {"use_parallel_residual": "no"}, "'use_parallel_residual' must be true or false, not 'no'"),
        ("gpt_neox", {"rotary_pct": 0}, "the key 'rotary_pct' must be a number above 0, not 0"),
        ("gpt_neox", {"rotary_pct": 0.4}, "3 numbers of a head of 8 cannot be turned in pairs"),
        ("opt", {"layer_norm_elementwise_affine": False}, "is False, but only true is covered"),
        ("bloom", {"apply_residual_connection_post_layernorm": True}, "is True, but only false is covered"),
        ("falcon", {"alibi": True}, "ALiBi with key heads that query heads share (1 for 4) is not covered"),
        (
            "falcon",
            {"new_decoder_architecture": True, "parallel_attn": False},
            "'parallel_attn' is False, but only true",
        ),
        ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 3}, "4 query heads cannot share 3 key heads"),
        ("mixtral", {"num_experts_per_tok": 9}, "experts_per_token is 9; give a number from 1 to experts, 3"),
        ("llama", {"rope_scaling": {"rope_type": "linear"}}, "the key 'factor' is missing"),
        ("llama", {"rope_scaling": {"rope_type": "linear", "factor": -2.0}}, "'factor' must be a number above 0"),
        (
            "llama",
            {"rope_scaling": {"rope_type": "linear", "factor": "8"}},
            "'factor' must be a number above 0, not '8'",
        ),
        ("llama", {"rope_scaling": {"rope_type": "su", "factor": 2.0}}, "the RoPE scaling 'su' is not known; known: "),
        ("llama", {"rope_scaling": "linear"}, "the RoPE scaling is 'linear', but it must be a mapping"),
    ],
)
def test_a_configuration_that_is_not_covered_is_refused_in_a_sentence(
    family: str, changes: dict[str, object], sentence: str
) -> None:
    values = hub_config(replace(MODELS[family], architecture=family), "float32")
    with pytest.raises(CheckpointError) as told:
        config_from_hub(values | changes, "folder/config.json")
    assert sentence in str(told.value)
    assert str(told.value).startswith("folder/config.json: ")
    assert "\n" not in str(told.value)
