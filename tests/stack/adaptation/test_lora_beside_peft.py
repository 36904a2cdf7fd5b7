"""Adapters beside the library PEFT: the same logits and gradients, in both directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

peft = pytest.importorskip("peft", reason="peft is not installed")

from stack.adaptation.adapters_of_peft import (  # noqa: E402
    ADAPTERS,
    IDS,
    Case,
    adapt,
    base,
    logits,
    randomize,
    require_equal,
    their_logits,
    write,
)

from evalharness.stack.adaptation.lora import (  # noqa: E402
    adapted_layers,
    add_adapter,
    load_adapter,
    merge,
    save_adapter,
)
from evalharness.stack.adaptation.lora_options import LoraOptions  # noqa: E402
from evalharness.stack.architectures.decoder import Decoder  # noqa: E402
from evalharness.stack.checkpoints.adapted import open_adapted  # noqa: E402
from evalharness.stack.checkpoints.adapter_sites import sites  # noqa: E402
from evalharness.stack.checkpoints.load import build, load_model  # noqa: E402
from evalharness.stack.training.model import TrainingModel  # noqa: E402
from evalharness.stack.training.objectives import Batch  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=ADAPTERS, scope="module")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    """A model's folder, that of an adapter of PEFT's, and PEFT's model."""
    case, folder = ADAPTERS[request.param], tmp_path_factory.mktemp("peft")
    theirs = adapt(case)
    theirs.save_pretrained(folder / "adapter", save_embedding_layers=False)
    return write(base(case.family), folder / "model"), folder / "adapter", theirs


def test_an_adapter_of_peft_gives_its_logits(made: tuple[Path, Path, Any]) -> None:
    folder, adapter, theirs = made
    expected = their_logits(theirs)
    plain, _ = load_model(folder)
    assert (logits(plain) - expected).abs().max() > 0.05
    require_equal(logits(build(open_adapted(folder, adapter), torch.float32, "cpu")), expected)
    load_adapter(plain, adapter)
    require_equal(logits(plain), expected)
    merge(plain)
    assert not adapted_layers(plain)
    require_equal(logits(plain), expected)


def test_gradients_are_those_of_peft(made: tuple[Path, Path, Any]) -> None:
    folder, adapter, theirs = made
    decoder, _ = load_model(folder)
    load_adapter(decoder, adapter)
    targets_BT = IDS[:, 1:]
    weights_BT = torch.rand(targets_BT.shape, generator=torch.Generator().manual_seed(1))
    losses = nn.functional.cross_entropy(
        theirs(input_ids=IDS[:, :-1], use_cache=False).logits.flatten(0, 1), targets_BT.flatten(), reduction="none"
    )
    expected = (losses * weights_BT.flatten()).sum()
    theirs.zero_grad()
    expected.backward()
    model = TrainingModel(decoder, balance_loss=0.0)
    found, _ = model(Batch(IDS[:, :-1], targets_BT, weights_BT, torch.arange(IDS.shape[1] - 1), None, None))
    found.backward()
    torch.testing.assert_close(found, expected, atol=0, rtol=1e-5)
    assert {name for name, each in decoder.named_parameters() if each.grad is not None} == {
        name for name, _ in decoder.named_parameters() if ".lora_" in name
    }
    names = [name for name, _ in theirs.named_parameters() if ".lora_" in name and "experts" not in name]
    assert names
    for name in names:
        gradient = theirs.get_parameter(name).grad
        torch.testing.assert_close(
            gradient_by(decoder, name), gradient, atol=2e-5 * float(gradient.abs().max()), rtol=0
        )


def gradient_by(decoder: Decoder, name: str) -> Tensor:
    """Ours, for a parameter of PEFT's."""
    layer, kind = name.removeprefix("base_model.model.").removesuffix(".default.weight").split(".lora_")
    site = sites(decoder.config)[layer]
    parts = [adapted_layers(decoder)[part] for part in site.parts]
    if kind == "A":
        assert all(part.lora_A is parts[0].lora_A for part in parts)
        assert parts[0].lora_A.grad is not None
        return parts[0].lora_A.grad
    return site.joined([part.lora_B.grad for part in parts if part.lora_B.grad is not None])


SAVED = {
    "llama": ("llama", {"targets": "all-linear"}),
    "llama, head": ("llama", {"targets": ("lm_head", "v_proj"), "rank_stabilized": True, "rank": 3}),
    "qwen3, one layer": ("qwen3 tied", {"targets": ("blocks.1.attention.output", "gate_proj")}),
    "gpt2 as it is": ("gpt2", {"targets": ("c_attn", "mlp.c_proj")}),
    "gpt2 by parts": ("gpt2", {"targets": ("q_proj", "v_proj", "down_proj")}),
    "gpt2 by parts, rank-stabilized": ("gpt2", {"targets": ("q_proj", "k_proj"), "rank_stabilized": True}),
    "gpt_neox by parts": ("gpt_neox", {"targets": ("k_proj",), "alpha": 3.0}),
    "falcon by parts": ("falcon 40b", {"targets": ("q_proj", "v_proj", "o_proj")}),
    "mixtral": ("mixtral", {"targets": "all-linear", "rank_stabilized": True}),
}


@pytest.mark.parametrize("case", SAVED)
def test_an_adapter_of_ours_gives_its_logits_in_peft(case: str, tmp_path: Path) -> None:
    family, options = SAVED[case]
    theirs = base(family)
    decoder, _ = load_model(write(theirs, tmp_path / "model"))
    before = logits(decoder)
    add_adapter(decoder, LoraOptions.model_validate(options), seed=1)
    assert torch.equal(logits(decoder), before)
    randomize(decoder)
    expected = logits(decoder)
    assert (expected - before).abs().max() > 0.02
    save_adapter(tmp_path / "adapter", decoder, base=str(tmp_path / "model"))
    told = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert told["base_model_name_or_path"] == str(tmp_path / "model")
    assert told["task_type"] == "CAUSAL_LM"
    require_equal(their_logits(peft.PeftModel.from_pretrained(theirs, tmp_path / "adapter").eval()), expected)
    require_equal(logits(build(open_adapted(tmp_path / "model", tmp_path / "adapter"), torch.float32, "cpu")), expected)


def test_layers_are_named_as_briefly_as_peft_does(tmp_path: Path) -> None:
    decoder, _ = load_model(write(base("gpt2"), tmp_path / "model"))
    add_adapter(decoder, LoraOptions(targets=("q_proj", "mlp.c_proj"), rank=4, alpha=8), seed=1)
    save_adapter(tmp_path / "adapter", decoder, base="gpt2")
    told = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert told["target_modules"] == ["c_attn", "transformer.h.0.mlp.c_proj", "transformer.h.1.mlp.c_proj"]
    assert (told["r"], told["lora_alpha"], told["use_rslora"], told["fan_in_fan_out"]) == (4, 8, False, True)


def test_all_linear_is_what_peft_takes_it_for(tmp_path: Path) -> None:
    for family in ("llama", "gpt2", "opt 350m", "gpt_neox"):
        theirs = peft.get_peft_model(base(family), peft.LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
        wanted = {name.split(".lora_A")[0] for name, _ in theirs.named_modules() if name.endswith("lora_A.default")}
        decoder, _ = load_model(write(base(family), tmp_path / family))
        add_adapter(decoder, LoraOptions(), seed=1)
        layers = adapted_layers(decoder)
        places = sites(decoder.config)
        found = {f"base_model.model.{name}" for name, site in places.items() if layers.keys() >= set(site.parts)}
        assert found == wanted


def test_a_training_beside_peft_learns_the_same(tmp_path: Path) -> None:
    theirs = adapt(Case("llama", {"target_modules": ["q_proj", "v_proj", "up_proj"]}))
    theirs.save_pretrained(tmp_path / "adapter")
    decoder, _ = load_model(write(base("llama"), tmp_path / "model"))
    load_adapter(decoder, tmp_path / "adapter")
    frozen = {name: tensor.clone() for name, tensor in decoder.state_dict().items() if ".lora_" not in name}
    model = TrainingModel(decoder)
    batch = Batch(IDS[:, :-1], IDS[:, 1:], torch.ones(2, IDS.shape[1] - 1), torch.arange(IDS.shape[1] - 1), None, None)
    ours = torch.optim.AdamW([each for each in decoder.parameters() if each.requires_grad], lr=0.02)
    other = torch.optim.AdamW([each for each in theirs.parameters() if each.requires_grad], lr=0.02)
    for _ in range(5):
        losses, _ = model(batch)
        (losses / batch.weights_BT.sum()).backward()
        ours.step()
        ours.zero_grad()
        theirs_loss = nn.functional.cross_entropy(theirs(IDS[:, :-1]).logits.flatten(0, 1), IDS[:, 1:].flatten())
        theirs_loss.backward()
        other.step()
        other.zero_grad()
        assert float(losses.detach()) / float(batch.weights_BT.sum()) == pytest.approx(
            float(theirs_loss.detach()), abs=1e-4
        )
    torch.testing.assert_close(logits(decoder), their_logits(theirs), atol=1e-3, rtol=0)
    for name, tensor in decoder.state_dict().items():
        if ".lora_" not in name:
            assert torch.equal(tensor, frozen[name])
