"""A training is the same whichever implementation of the kernels computes it, and says which one did."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stack.kernels.ladder import normal
from stack.training.test_loop import stopped_at
from stack.training.tiny_pretraining import losses, options
from torch import nn

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.architectures.options import ModelOptions
from evalharness.stack.errors import KernelError, TrainingError
from evalharness.stack.kernels import adamw, op
from evalharness.stack.kernels.op import using
from evalharness.stack.training.adamw import AdamW
from evalharness.stack.training.groups import OptimizerRule
from evalharness.stack.training.loop import Event
from evalharness.stack.training.model import TrainingModel, check_compiled
from evalharness.stack.training.objectives import decoder_batch
from evalharness.stack.training.optimizers import make_optimizers
from evalharness.stack.training.pretrain import pretrain
from evalharness.stack.training.processes import Processes
from evalharness.stack.training.step import backward, update

SMALL: dict[str, Any] = {
    "steps": 5,
    "batch": {"sequences": 2, "micro": 2},
    "optimizer": [{"kind": "matrix", "rate": 0.02, "weight_decay": 0.1}, {"rate": 0.01}],
    "schedule": {"warmup": 1},
    "data": {"corpus": "corpus", "context": 12, "validation": {"sequences": 2}},
}
LAYER = {"layers": 1, "width": 16, "heads": 2, "ffn_width": 24}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "llama": {"model": {**LAYER, "kv_heads": 1}},
    "gpt2": {
        "model": {**LAYER, "norm": "layer_norm", "feed_forward": "gelu_tanh", "positions": "learned", "biases": "all"},
        "data": {**SMALL["data"], "boundaries": False},
    },
    "neox": {
        "model": {**LAYER, "norm": "layer_norm", "residual": "parallel_two_norms", "rotary_dim": 2, "biases": "all"}
    },
    "window": {"model": {**LAYER, "layers": 2, "window": 3, "full_every": 2, "qk_norm": True, "residual": "sandwich"}},
    "documents": {
        "model": {**LAYER, "feed_forward": "geglu", "positions": "alibi"},
        "data": {**SMALL["data"], "context": 48, "packing": "best_fit"},
        "batch": {"sequences": 1, "micro": 1},
    },
    "prefix": {
        "model": {**LAYER, "window": 4},
        "data": {**SMALL["data"], "context": 32},
        "objective": {"name": "prefix_lm", "split": "marker", "marker": "Q:"},
        "batch": {"sequences": 1, "micro": 1},
    },
    "bf16": {"model": {**LAYER, "kv_heads": 1, "qk_norm": True}, "compute": {"precision": "bf16"}},
    "again": {"model": LAYER, "compute": {"recompute": "blocks"}},
}
CLOSE = {"bf16": 5e-3}
"""Losses of which roundings elsewhere make others; to 1e-5 of themselves else."""
FLOAT = 1e-5


def trained(base: Path, name: str, kernels: str, **changes: Any) -> list[float]:
    folder = f"{name}-{kernels}"
    with using(kernels):
        pretrain(options(folder, **{**SMALL, **CONFIGURATIONS[name], **changes}), base)
    return losses(base / folder)


def told(folder: Path) -> dict[str, list[str]]:
    kernels: dict[str, list[str]] = json.loads((folder / "run.json").read_text())["kernels"]
    return kernels


@pytest.mark.usefixtures("_training")
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_reference_gives_the_same_losses(base: Path, name: str) -> None:
    expected = trained(base, name, "torch")
    assert len(set(expected)) == 5
    assert trained(base, name, "reference") == pytest.approx(expected, rel=CLOSE.get(name, FLOAT))


@pytest.mark.long
@pytest.mark.usefixtures("_training")
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_triton_gives_the_same_losses(base: Path, name: str) -> None:
    expected = trained(base, name, "torch")
    assert trained(base, name, "triton") == pytest.approx(expected, rel=CLOSE.get(name, FLOAT))
    assert "triton" in told(base / f"{name}-triton")["flash_attention"]


def few_losses(kernels: str) -> list[float]:
    """Of five steps that are small even for Triton's interpreter: a document of four tokens and one of two."""
    chosen = ModelOptions.model_validate(
        {**LAYER, "heads": 4, "kv_heads": 2, "width": 8, "rotary_dim": 2, "head_dim": 4}
    )
    with using(kernels):
        decoder = Decoder(chosen.to_config(vocab_size=9, max_length=8, bos_id=None, eos_ids=()))
        initialize(decoder, 3, 0.3)
        trained = TrainingModel(decoder, z_loss=1e-3)
        optimizers = make_optimizers(decoder.named_parameters(), [OptimizerRule(rate=0.03, weight_decay=0.1)])
        tokens = np.array([[1, 5, 2, 7, 3, 8, 4]])
        batch = decoder_batch(tokens, np.array([[0, 0, 0, 0, 1, 1, 1]], dtype=np.int32))
        found = []
        for _ in range(5):
            found.append(backward(trained, [batch], Processes(), torch.device("cpu"), 1.0).loss)
            update(trained, optimizers)
    return found


def test_five_small_steps_of_triton() -> None:
    expected = few_losses("torch")
    assert few_losses("triton") == pytest.approx(expected, rel=FLOAT)
    assert expected[-1] < expected[0] - 0.3


@pytest.mark.usefixtures("_training")
def test_a_training_says_which_kernels_computed(base: Path) -> None:
    trained(base, "llama", "torch")
    kernels = told(base / "llama-torch")
    ops = {"adamw", "flash_attention", "glu", "linear_cross_entropy", "rms_norm", "rope"}
    assert ops <= set(kernels)
    assert all("torch" in kernels[op] for op in ops)


@pytest.mark.usefixtures("_training")
@pytest.mark.parametrize(("first", "second"), [("torch", "reference"), ("reference", "torch")])
def test_another_implementation_goes_on_from_a_checkpoint_and_is_told_beside(
    base: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    whole = trained(base, "llama", "torch")
    asked = options("stopped", **{**SMALL, **CONFIGURATIONS["llama"]})
    notes: list[Event] = []
    monkeypatch.setattr(op, "_USED", {})
    with using(first):
        assert pretrain(asked, base, tell=stopped_at(3)).step == 3
    assert told(base / "stopped")["rms_norm"] == [first]
    with using(second):
        pretrain(asked, base, tell=notes.append)
    assert losses(base / "stopped") == pytest.approx(whole, rel=FLOAT)
    assert told(base / "stopped")["adamw"] == [first, second]
    assert [event["event"] for event in notes if "event" in event] == ["resumed"]


@pytest.mark.parametrize("kernels", ["reference", "triton"])
def test_an_optimizer_of_the_op_steps_as_torchs_and_takes_over_its_state(kernels: str) -> None:
    """In steps of which one parameter has no gradient in the second."""
    rule = OptimizerRule(rate=0.05, weight_decay=0.1)

    def named() -> list[tuple[str, nn.Parameter]]:
        return [(name, nn.Parameter(normal(5, 3, seed=place).detach())) for place, name in enumerate("ab")]

    def step(number: int, optimizer: torch.optim.Optimizer, parameters: list[tuple[str, nn.Parameter]]) -> None:
        for place, (_, parameter) in enumerate(parameters):
            parameter.grad = None if (number, place) == (2, 1) else normal(5, 3, seed=10 * number + place).detach()
        optimizer.step()

    usual, changed, back = named(), named(), named()
    (torchs,) = make_optimizers(usual, [rule])
    with using(kernels):
        (ours,) = make_optimizers(changed, [rule])
    assert (type(torchs), type(ours)) == (torch.optim.AdamW, AdamW)
    (torchs_again,) = make_optimizers(back, [rule])
    for number in range(1, 5):
        step(number, torchs, usual)
        if number == 3:
            torchs_again.load_state_dict(copy.deepcopy(ours.state_dict()))
            for (_, parameter), (_, other) in zip(back, changed, strict=True):
                parameter.data.copy_(other.data)
        with using(kernels):
            step(number, ours, changed)
        if number >= 3:
            step(number, torchs_again, back)
    assert ours.state_dict().keys() == torchs.state_dict().keys()
    assert ours.state_dict()["param_groups"] == torchs.state_dict()["param_groups"]
    for place, expected in torchs.state_dict()["state"].items():
        found = ours.state_dict()["state"][place]
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert found[key].dtype == value.dtype
            torch.testing.assert_close(found[key], value)
    for (_, one), (_, other), (_, third) in zip(usual, changed, back, strict=True):
        torch.testing.assert_close(other, one)
        torch.testing.assert_close(third, one)


def test_what_the_op_cannot_step_is_told_when_the_training_is_set_up() -> None:
    wide = [("a", nn.Parameter(torch.ones(2, dtype=torch.float64)))]
    with using("triton"), pytest.raises(KernelError, match="cannot compute adamw here"):
        make_optimizers(wide, [OptimizerRule(rate=0.1)])


@pytest.mark.parametrize("told", ["triton", "torch,rope=triton"])
def test_what_is_compiled_is_not_tritons(told: str) -> None:
    chosen = ModelOptions.model_validate(LAYER).to_config(vocab_size=9, max_length=8, bos_id=None, eos_ids=())
    with using(told), pytest.raises(TrainingError, match=r"wants Triton's (experts|rope); leave one of them out"):
        TrainingModel(Decoder(chosen), compiled=True)
    with using("torch,adamw=triton,linear_cross_entropy=triton"):
        check_compiled()


@pytest.mark.long
@pytest.mark.parametrize("name", ["llama", "neox", "window"])
def test_dispatch_breaks_no_graph_of_the_compiler(name: str) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    chosen = ModelOptions.model_validate(CONFIGURATIONS[name]["model"])
    trained = TrainingModel(Decoder(chosen.to_config(vocab_size=9, max_length=8, bos_id=None, eos_ids=())))
    hidden = torch.compile(trained._hidden_of, backend="aot_eager")
    batch = decoder_batch(np.array([[1, 5, 2, 7, 3, 8, 4]]), np.array([[0, 0, 0, 0, 1, 1, 1]], dtype=np.int32))
    for _ in range(2):
        hidden(batch).sum().backward()
        # Other ops come into use meanwhile, of which what is compiled must not depend.
        adamw.OP.chosen(batch.weights_BT)
    assert not torch._dynamo.utils.counters["graph_break"]
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
