"""Adapters that are refused in one sentence: of other kinds, damaged, incomplete, or of another model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from evalharness.stack.adaptation.lora import adapter_parameters, add_adapter, load_adapter, save_adapter
from evalharness.stack.adaptation.lora_options import LoraOptions
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.architectures.options import ModelOptions
from evalharness.stack.checkpoints.adapted import open_adapted
from evalharness.stack.checkpoints.adapters import AdapterFolder
from evalharness.stack.checkpoints.load import build
from evalharness.stack.checkpoints.save import save_model
from evalharness.stack.errors import CheckpointError

BEGIN = "base_model.model.model.layers"
QUERY = f"{BEGIN}.0.self_attn.q_proj"


GPT2 = {"norm": "layer_norm", "feed_forward": "gelu_tanh", "positions": "learned", "biases": "all"}


def decoder(**changes: Any) -> Decoder:
    given = {"layers": 2, "width": 16, "heads": 2, "ffn_width": 24, "tied_embeddings": True}
    options = ModelOptions.model_validate(given | changes)
    made = Decoder(options.to_config(vocab_size=64, max_length=32, bos_id=None, eos_ids=()))
    initialize(made, 3, 0.2)
    return made


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and an adapter."""
    folder = tmp_path_factory.mktemp("adapter")
    made = decoder()
    (folder / "model").mkdir()
    save_model(folder / "model", made.config, made.state_dict(), None)
    add_adapter(made, LoraOptions(rank=2, targets=("q_proj", "down_proj")), seed=0)
    for _, parameter in adapter_parameters(made):
        torch.nn.init.normal_(parameter, 0, 0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    save_adapter(folder / "adapter", made, base="somewhere")
    return folder


def read(saved: Path, adapter: Path) -> dict[str, Tensor]:
    return dict(open_adapted(saved / "model", adapter).tensors())


def changed(
    saved: Path,
    folder: Path,
    options: Callable[[dict[str, Any]], None] = lambda _: None,
    tensors: Callable[[dict[str, Tensor]], None] = lambda _: None,
) -> Path:
    """A copy of the adapter that is no longer what it was."""
    shutil.copytree(saved / "adapter", folder / "adapter")
    values = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    options(values)
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(values))
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    tensors(weights)
    save_file(weights, folder / "adapter" / "adapter_model.safetensors")
    return folder / "adapter"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"peft_type": "IA3"}, "adapters of the kind 'IA3' are not covered; LoRA is."),
        ({"peft_type": None}, "adapters of the kind 'None' are not covered; LoRA is."),
        ({"use_dora": True}, "the option 'use_dora' is not covered; plain LoRA is."),
        ({"modules_to_save": ["lm_head"]}, "the option 'modules_to_save' is not covered; plain LoRA is."),
        ({"trainable_token_indices": [3]}, "the option 'trainable_token_indices' is not covered; plain LoRA is."),
        ({"lora_bias": True}, "the option 'lora_bias' is not covered; plain LoRA is."),
        ({"layer_replication": [[0, 1]]}, "the option 'layer_replication' is not covered; plain LoRA is."),
        ({"an_option_of_tomorrow": 1}, "the option 'an_option_of_tomorrow' is not covered; plain LoRA is."),
        ({"bias": "all"}, "biases that were trained too (bias: all) are not covered; take none."),
        (
            {"init_lora_weights": "pissa"},
            "the adapter began by changing the model's own weights (init_lora_weights: pissa); let PEFT convert it to "
            "plain LoRA.",
        ),
        ({"r": 0}, "'r' must be a number above 0, not 0."),
        ({"r": "8"}, "'r' must be a number above 0, not '8'."),
        ({"alpha_pattern": {"q_proj": None}}, "'lora_alpha' must be a number above 0, not None."),
        ({"rank_pattern": ["q_proj"]}, "'rank_pattern' must be an object, not ['q_proj']."),
        ({"target_modules": "(q_proj"}, "'target_modules' is no list of names and no regular expression."),
        ({"target_modules": 3}, "'target_modules' is no list of names and no regular expression."),
    ],
)
def test_configurations_that_are_refused(saved: Path, tmp_path: Path, values: dict[str, Any], said: str) -> None:
    adapter = changed(saved, tmp_path, options=lambda there: there.update(values))
    with pytest.raises(CheckpointError) as caught:
        AdapterFolder(adapter)
    assert str(caught.value) == f"{adapter / 'adapter_config.json'}: {said}"


@pytest.mark.parametrize(
    "values",
    [
        {"init_lora_weights": "gaussian", "lora_dropout": 0.3, "peft_version": "9.9.9", "inference_mode": False},
        {"init_lora_weights": False, "modules_to_save": [], "eva_config": {"rho": 2}, "use_dora": False},
        {"target_modules": r".*\.(q_proj|down_proj)", "layers_to_transform": None, "exclude_modules": []},
        {"target_modules": ["q_proj", "down_proj", "k_proj"], "exclude_modules": ["k_proj"]},
    ],
)
def test_configurations_that_change_nothing(saved: Path, tmp_path: Path, values: dict[str, Any]) -> None:
    expected = read(saved, saved / "adapter")
    found = read(saved, changed(saved, tmp_path, options=lambda there: there.update(values)))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def renamed(old: str, new: str) -> Callable[[dict[str, Tensor]], None]:
    return lambda weights: weights.update({name.replace(old, new): weights.pop(name) for name in list(weights)})


def put(name: str, tensor: Tensor) -> Callable[[dict[str, Tensor]], None]:
    return lambda weights: weights.update({name: tensor})


TENSORS: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "B is missing": (
        lambda weights: weights.pop(f"{QUERY}.lora_B.weight"),
        f"lacks the tensor '{QUERY}.lora_B.weight'; the adapter is incomplete.",
    ),
    "a layer is missing": (
        lambda weights: [weights.pop(f"{QUERY}.lora_{each}.weight") for each in "AB"],
        "lacks the tensors of 'model.layers.0.self_attn.q_proj', though adapter_config.json names it (target_modules); "
        "the adapter is incomplete.",
    ),
    "DoRA's": (
        put(f"{QUERY}.lora_magnitude_vector", torch.ones(16)),
        f"the tensor '{QUERY}.lora_magnitude_vector' is no matrix A or B of a linear layer's adapter; others are not "
        "covered.",
    ),
    "a copy of the model's own": (
        put("base_model.model.lm_head.base_layer.weight", torch.ones(2, 64)),
        "the tensor 'base_model.model.lm_head.base_layer.weight' is the model's own; let PEFT save the adapter without "
        "it (save_embedding_layers=False).",
    ),
    "an embedding's": (
        put("base_model.model.model.embed_tokens.lora_embedding_A", torch.ones(2, 64)),
        "the tensor 'base_model.model.model.embed_tokens.lora_embedding_A' is no matrix A or B of a linear layer's "
        "adapter; others are not covered.",
    ),
    "another family": (
        renamed("model.layers.", "transformer.h."),
        "the adapter changes 'transformer.h.0.mlp.down_proj', but the model has no such linear layer; it is "
        "another model's adapter.",
    ),
    "a deeper model": (
        renamed("layers.1.", "layers.7."),
        "the adapter changes 'model.layers.7.mlp.down_proj', but the model has no such linear layer; it is another "
        "model's adapter.",
    ),
    "a tied head": (
        renamed("model.layers.0.self_attn.q_proj", "lm_head"),
        "the adapter changes 'lm_head', which is the model's embedding as well; tied heads are not covered.",
    ),
    "another rank": (
        put(f"{QUERY}.lora_A.weight", torch.ones(3, 16)),
        "the matrices of 'model.layers.0.self_attn.q_proj' have the ranks 3 and 2, but adapter_config.json says 2.",
    ),
    "a narrower model": (
        put(f"{QUERY}.lora_A.weight", torch.ones(2, 8)),
        "what is added to 'model.layers.0.self_attn.q_proj.weight' has the shape (16, 8), but the model's weight has "
        "(16, 16); it is another model's adapter.",
    ),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_are_refused(saved: Path, tmp_path: Path, case: str) -> None:
    change, said = TENSORS[case]
    adapter = changed(saved, tmp_path, tensors=change)
    with pytest.raises(CheckpointError) as caught:
        read(saved, adapter)
    assert str(caught.value) == f"{adapter}: {said}"
    with pytest.raises(CheckpointError):
        load_adapter(decoder(), adapter)


def test_fused_layers_that_do_not_fit(tmp_path: Path) -> None:
    made = decoder(**GPT2)
    add_adapter(made, LoraOptions(rank=2, targets=("c_attn",)), seed=0)
    save_adapter(tmp_path / "adapter", made, base="somewhere")
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    name = "base_model.model.transformer.h.0.attn.c_attn.lora_B.weight"
    weights[name] = weights[name][:-4]
    save_file(weights, tmp_path / "adapter" / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match=r"has the shape|which does not fit the model"):
        load_adapter(decoder(**GPT2), tmp_path / "adapter")


def test_files_that_are_missing_or_damaged(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"nowhere has no adapter_config\.json; give a folder that PEFT has written"
    ):
        AdapterFolder(tmp_path / "nowhere")
    adapter = changed(saved, tmp_path)
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        read(saved, adapter)
    weights.rename(adapter / "adapter_model.bin")
    with pytest.raises(
        CheckpointError, match=r"has no adapter_model\.safetensors; pickled weights \(\.bin\) are not read"
    ):
        AdapterFolder(adapter)


def test_a_merged_model_is_a_checkpoint_of_its_own(saved: Path, tmp_path: Path) -> None:
    plain, adapted = open_adapted(saved / "model", None), open_adapted(saved / "model", saved / "adapter")
    assert adapted.name == "model + adapter"
    assert (adapted.path, adapted.config, adapted.quantisation) == (plain.path, plain.config, plain.quantisation)
    prints = {plain.fingerprint(), adapted.fingerprint()}
    other = changed(saved, tmp_path, options=lambda values: values.update(lora_alpha=1))
    assert len(prints | {open_adapted(saved / "model", other).fingerprint()}) == 3
    weights = dict(adapted.tensors())
    before = dict(plain.tensors())
    assert {name for name in weights if not torch.equal(weights[name], before[name])} == {
        f"blocks.{layer}.{name}.weight" for layer in (0, 1) for name in ("attention.qkv.query", "feed_forward.down")
    }


def test_weights_in_bf16_are_merged_before_they_are_rounded(saved: Path) -> None:
    exact = dict(open_adapted(saved / "model", saved / "adapter").tensors())
    model = build(open_adapted(saved / "model", saved / "adapter"), torch.bfloat16, "cpu")
    for name, tensor in model.state_dict().items():
        if name != "head.weight":
            assert torch.equal(tensor, exact[name].bfloat16())
