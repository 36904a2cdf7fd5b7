"""Adapters of a decoder: which layers have one, what is trained, and what is left when they are off or merged."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import load_file
from stack.training.test_step import batch, model
from torch import Tensor

from evalharness.stack.adaptation.lora import (
    adapted_layers,
    adapter_parameters,
    add_adapter,
    disabled,
    load_adapter,
    merge,
    merged_weights,
    save_adapter,
)
from evalharness.stack.adaptation.lora_options import LoraOptions
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.errors import CheckpointError, TrainingError
from evalharness.stack.layers.attention import WholeSequence
from evalharness.stack.training.model import TrainingModel

QKV = ("attention.qkv.query", "attention.qkv.key", "attention.qkv.value")
GATED = ("feed_forward.gate_up.gate", "feed_forward.gate_up.up", "feed_forward.down")
ALL = {f"blocks.{block}.{layer}" for block in range(2) for layer in (*QKV, "attention.output", *GATED)}


def decoder(**changes: Any) -> Decoder:
    made: Decoder = model(**{"feed_forward": "swiglu", **changes}).decoder
    # Without the arithmetic of a training.
    plain = Decoder(made.config)
    plain.load_state_dict(made.state_dict())
    return plain


def adapted(seed: int = 1, *, changes: dict[str, Any] | None = None, **options: Any) -> Decoder:
    """With numbers in A and B."""
    made = decoder(**(changes or {}))
    add_adapter(made, LoraOptions.model_validate({"rank": 3, **options}), seed)
    random = torch.Generator().manual_seed(seed)
    for name, parameter in adapter_parameters(made):
        if name.endswith("lora_B"):
            parameter.data = torch.randn(parameter.shape, generator=random) * 0.3
    return made


@torch.no_grad()
def logits(made: Decoder) -> Tensor:
    return made.logits(made(torch.arange(12) % 7, torch.arange(12), WholeSequence()))


# --------------------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("all-linear", ALL),
        (
            ("q_proj", "v_proj"),
            {f"blocks.{block}.attention.qkv.{part}" for block in (0, 1) for part in ("query", "value")},
        ),
        (("gate_proj", "up_proj", "down_proj"), {each for each in ALL if "feed_forward" in each}),
        (("o_proj", "attention.output", "output"), {each for each in ALL if each.endswith("output")}),
        (("blocks.1.attention.qkv.key",), {"blocks.1.attention.qkv.key"}),
        (("lm_head",), {"head"}),
        (("head", "k_proj"), {"head", "blocks.0.attention.qkv.key", "blocks.1.attention.qkv.key"}),
    ],
)
def test_targets_are_layers(targets: Any, expected: set[str]) -> None:
    made = decoder(tied_embeddings=False)
    add_adapter(made, LoraOptions(targets=targets), seed=0)
    assert set(adapted_layers(made)) == expected


def test_layers_that_are_no_family_s_are_found_too() -> None:
    made = decoder(residual="sandwich", feed_forward="relu", experts=3)
    add_adapter(made, LoraOptions(targets=("q_proj", "up_proj", "router")), seed=0)
    experts = {f"blocks.{block}.feed_forward.experts.{number}.up" for block in (0, 1) for number in range(3)}
    routers = {f"blocks.{block}.feed_forward.router" for block in (0, 1)}
    assert set(adapted_layers(made)) == experts | routers | {f"blocks.{block}.attention.qkv.query" for block in (0, 1)}
    without = decoder(residual="sandwich", feed_forward="relu", experts=3)
    add_adapter(without, LoraOptions(), seed=0)
    assert not routers & set(adapted_layers(without))
    assert experts < set(adapted_layers(without))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"targets": "lm_head"},
            "lora: the target 'lm_head' is the model's embedding as well (tied); adapt other layers.",
        ),
        ({"targets": "head"}, "lora: the target 'head' is the model's embedding as well (tied); adapt other layers."),
        (
            {"targets": "embed_tokens"},
            "lora: the target 'embed_tokens' is an embedding, not a linear layer; adapt other",
        ),
        ({"targets": ("q_proj", "q_porj")}, "lora: no linear layer is called 'q_porj'; did you mean 'q_proj'? Known: "),
        ({"targets": "blocks.9.attention.output"}, "lora: no linear layer is called 'blocks.9.attention.output'; "),
    ],
)
def test_targets_that_cannot_be_adapted(options: dict[str, Any], said: str) -> None:
    made = decoder(tied_embeddings=True)
    with pytest.raises(TrainingError) as caught:
        add_adapter(made, LoraOptions.model_validate(options), seed=0)
    assert str(caught.value).startswith(said)
    assert all(parameter.requires_grad for parameter in made.parameters())


def test_a_head_takes_no_dropout_and_a_model_one_adapter() -> None:
    made = decoder(tied_embeddings=False)
    with pytest.raises(TrainingError, match="the vocabulary projection takes no dropout"):
        add_adapter(made, LoraOptions(targets=("head",), dropout=0.1), seed=0)
    add_adapter(made, LoraOptions(), seed=0)
    with pytest.raises(TrainingError, match="has an adapter already"):
        add_adapter(made, LoraOptions(), seed=0)


@pytest.mark.parametrize(
    "wrong", [{"rank": 0}, {"alpha": 0}, {"alpha": math.inf}, {"dropout": 1}, {"targets": ()}, {"r": 8}]
)
def test_options_that_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LoraOptions.model_validate(wrong)


# --------------------------------------------------------------------------- what an adapter is


def test_it_begins_as_the_model_was_and_is_drawn_by_the_seed() -> None:
    plain, made, other, third = (decoder() for _ in range(4))
    before = logits(plain)
    for each, seed in ((made, 4), (other, 4), (third, 5)):
        add_adapter(each, LoraOptions(rank=2), seed)
        assert torch.equal(logits(each), before)
    first, same, different = (dict(adapter_parameters(each)) for each in (made, other, third))
    for name, parameter in first.items():
        assert torch.equal(parameter, same[name])
        if name.endswith("lora_A"):
            bound = parameter.shape[1] ** -0.5
            assert 0.5 * bound < float(parameter.detach().abs().max()) <= bound
            assert not torch.equal(parameter, different[name])
        else:
            assert not parameter.any()


def test_only_the_adapter_learns() -> None:
    made = adapted(targets=("q_proj", "down_proj", "head"), changes={"tied_embeddings": False})
    names = {name for name, _ in adapter_parameters(made)}
    assert len(names) == 2 * (2 + 2 + 1)
    assert {name for name, parameter in made.named_parameters() if parameter.requires_grad} == names
    losses, _ = TrainingModel(made)(batch())
    losses.backward()
    assert {name for name, parameter in made.named_parameters() if parameter.grad is not None} == names
    assert all(parameter.grad is not None and parameter.grad.any() for _, parameter in adapter_parameters(made))


@pytest.mark.parametrize("stabilized", [False, True])
def test_the_scale(stabilized: bool) -> None:
    made = adapted(rank=4, alpha=6, rank_stabilized=stabilized, targets=("o_proj",))
    layer = adapted_layers(made)["blocks.0.attention.output"]
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    expected = x @ (layer.weight + (3.0 if stabilized else 1.5) * layer.lora_B @ layer.lora_A).t()
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=0)


def test_off_it_is_the_model_as_it_was_to_the_bit() -> None:
    before = logits(decoder())
    made = adapted()
    on = logits(made)
    assert not torch.allclose(on, before, atol=1e-2)
    trained = TrainingModel(made)
    with disabled(made):
        assert torch.equal(logits(made), before)
        losses, _ = trained(batch())
        assert not losses.requires_grad
        assert torch.equal(losses, TrainingModel(decoder())(batch())[0].detach())
    torch.testing.assert_close(logits(made), on, atol=1e-5, rtol=0)
    with pytest.raises(KeyError), disabled(made):
        raise KeyError
    torch.testing.assert_close(logits(made), on, atol=1e-5, rtol=0)


@settings(max_examples=8)
@given(
    st.lists(st.sampled_from(["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj", "head"]), min_size=1),
    st.integers(1, 20),
    st.floats(0.1, 30),
    st.booleans(),
    st.integers(0, 9),
)
def test_merged_equals_apart(targets: list[str], rank: int, alpha: float, stabilized: bool, seed: int) -> None:
    made = adapted(
        seed,
        changes={"tied_embeddings": False},
        targets=tuple(targets),
        rank=rank,
        alpha=alpha,
        rank_stabilized=stabilized,
    )
    apart, scale = logits(made), float(logits(made).abs().max())
    weights = merged_weights(made)
    assert adapted_layers(made)
    packed = copy.deepcopy(made)
    packed.pack()
    merge(made)
    assert not adapted_layers(made)
    assert weights.keys() == made.state_dict().keys() == decoder(tied_embeddings=False).state_dict().keys()
    for name, tensor in made.state_dict().items():
        assert torch.equal(tensor, weights[name])
    torch.testing.assert_close(logits(made), apart, atol=1e-4 * max(1, scale), rtol=0)
    torch.testing.assert_close(logits(packed), apart, atol=1e-4 * max(1, scale), rtol=0)


# --------------------------------------------------------------------------- dropout


def test_dropout_is_the_same_in_blocks_computed_again() -> None:
    found = []
    for recompute in (False, True):
        made = adapted(dropout=0.4)
        trained = TrainingModel(made, recompute=recompute)
        torch.manual_seed(3)
        losses, _ = trained(batch())
        losses.backward()
        found.append([losses.detach(), *(parameter.grad for _, parameter in adapter_parameters(made))])
    assert all(map(torch.equal, *found))
    made.eval()
    torch.testing.assert_close(TrainingModel(made)(batch())[0], TrainingModel(adapted())(batch())[0], atol=1e-4, rtol=0)
    assert float(found[0][0]) != pytest.approx(float(TrainingModel(made)(batch())[0].detach()), abs=1e-3)


# --------------------------------------------------------------------------- files


def test_parts_of_a_layer_of_theirs_are_told_apart_again(tmp_path: Path) -> None:
    """GPT-2 has queries, keys and values in one layer."""
    changes = {"norm": "layer_norm", "feed_forward": "gelu_tanh", "positions": "learned", "biases": "all"}
    for targets in (("q_proj", "v_proj"), ("k_proj",), ("q_proj", "k_proj", "v_proj"), ("c_attn",)):
        made = adapted(changes=changes, targets=targets, rank_stabilized=True, alpha=5)
        folder = tmp_path / "-".join(targets)
        save_adapter(folder, made, base="somewhere")
        assert any(".attn.c_attn.lora_A" in name for name in load_file(folder / "adapter_model.safetensors"))
        again = decoder(**changes)
        load_adapter(again, folder)
        found, expected = dict(adapter_parameters(again)), dict(adapter_parameters(made))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        torch.testing.assert_close(logits(again), logits(made), atol=1e-6, rtol=0)


@pytest.mark.parametrize("changes", [{}, {"residual": "sandwich"}], ids=["a family", "composed"])
def test_what_is_saved_is_loaded(changes: dict[str, Any], tmp_path: Path) -> None:
    made = adapted(changes=changes, targets=("q_proj", "up_proj"), alpha=5, dropout=0.25)
    save_adapter(tmp_path / "adapter", made, base="somewhere")
    again = decoder(**changes)
    load_adapter(again, tmp_path / "adapter")
    assert torch.equal(logits(again.eval()), logits(made.eval()))
    assert {layer.dropout for layer in adapted_layers(again).values()} == {0.25}
    assert {name for name, each in again.named_parameters() if each.requires_grad} == dict(
        adapter_parameters(made)
    ).keys()
    save_adapter(tmp_path / "again", again, base="somewhere")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "adapter" / name).read_bytes()
    usual = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    ours = "base_model.model.blocks.0.attention.qkv.query.lora_A.weight"
    assert (ours if changes else usual) in load_file(tmp_path / "adapter" / "adapter_model.safetensors")


def test_a_folder_that_is_there_and_a_model_without_an_adapter(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="exists already; give the name of a new folder"):
        save_adapter(tmp_path, adapted(), base="somewhere")
    with pytest.raises(CheckpointError, match="the model has no adapter that could be saved"):
        save_adapter(tmp_path / "new", decoder(), base="somewhere")
