"""Trainings of Mambas: gradients are those of transformers, losses fall, and what is saved is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from stack.training.test_estimates import peak_of
from stack.training.tiny_pretraining import FakeEvaluator, log_of, losses, options, weights
from torch import Tensor
from torch.nn import functional as F

from evalharness.stack.architectures.mamba import Mamba
from evalharness.stack.architectures.mamba_config import MambaConfig
from evalharness.stack.architectures.mamba_initial import initialize_mamba
from evalharness.stack.checkpoints.load import build_plain, open_checkpoint
from evalharness.stack.checkpoints.save import save_model
from evalharness.stack.errors import TrainingError
from evalharness.stack.kernels.op import using
from evalharness.stack.training.estimates import memory_with, operations
from evalharness.stack.training.groups import DEFAULT_RULES, kind_of
from evalharness.stack.training.mamba_model import MambaTrainingModel
from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.pretrain import pretrain
from evalharness.stack.training.saved import mamba_activations

CONFIG = MambaConfig(vocab_size=64, width=16, layers=2, time_step_rank=2, state_size=4, max_length=64)


def model(config: MambaConfig = CONFIG) -> Mamba:
    made = Mamba(config)
    initialize_mamba(made, 1)
    return made


def batch(sequences: int = 3, length: int = 20) -> Batch:
    ids_BS = torch.randint(CONFIG.vocab_size, (sequences, length + 1), generator=torch.Generator().manual_seed(1))
    weights_BT = (torch.arange(sequences * length) % 3 > 0).float().view(sequences, length)
    return Batch(ids_BS[:, :-1], ids_BS[:, 1:], weights_BT, torch.arange(length), None, None)


def with_gradients(trained: MambaTrainingModel) -> tuple[Tensor, dict[str, Tensor]]:
    trained.zero_grad()
    total, plain = trained(batch())
    total.backward()
    assert torch.equal(total.detach(), plain)
    return plain, {name: parameter.grad.clone() for name, parameter in trained.model.named_parameters()}


@pytest.mark.parametrize("tied", [True, pytest.param(False, marks=pytest.mark.long)])
def test_gradients_are_those_of_transformers(tied: bool, tmp_path: Path) -> None:
    config = replace(CONFIG, tied_embeddings=tied)
    ours = model(config)
    save_model(tmp_path, config, ours.state_dict(), None)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    given = batch()
    logits = theirs(given.inputs_BT).logits
    each = F.cross_entropy(logits.flatten(0, 1), given.targets_BT.flatten(), reduction="none")
    expected = (each * given.weights_BT.flatten()).sum()
    expected.backward()
    plain, found = with_gradients(MambaTrainingModel(ours))
    torch.testing.assert_close(plain, expected.detach(), rtol=1e-5, atol=0)
    # The folder's names are transformers', so its gradients are written as weights are and read as ours.
    for parameter in theirs.parameters():
        parameter.data = parameter.grad
    theirs.save_pretrained(tmp_path / "gradients")
    read = build_plain(open_checkpoint(tmp_path / "gradients"), torch.float32, "cpu")
    for name, gradient in read.named_parameters():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(found[name], gradient.detach(), rtol=1e-4, atol=1e-5 * scale, msg=name)


def test_blocks_that_are_computed_again_have_the_same_gradients() -> None:
    loss, gradients = with_gradients(MambaTrainingModel(model()))
    again, others = with_gradients(MambaTrainingModel(model(), recompute=True))
    assert torch.equal(loss, again)
    assert all(torch.equal(gradients[name], others[name]) for name in gradients)


def test_under_bf16_the_space_is_fp32_and_the_loss_near() -> None:
    whole, exact = with_gradients(MambaTrainingModel(model()))
    narrow, gradients = with_gradients(MambaTrainingModel(model(), dtype=torch.bfloat16))
    assert narrow.dtype == torch.float32
    torch.testing.assert_close(narrow, whole, rtol=0.01, atol=0)
    for name, gradient in gradients.items():
        assert gradient.dtype == torch.float32
        assert (gradient - exact[name]).norm() < 0.1 * exact[name].norm() + 1e-3, name


@pytest.mark.parametrize("kernels", ["reference", pytest.param("triton", marks=pytest.mark.long)])
def test_every_implementation_of_the_scan_has_the_same_gradients(kernels: str) -> None:
    pytest.importorskip("triton")
    config = replace(CONFIG, width=4, layers=1)
    trained, given = MambaTrainingModel(model(config)), batch(1, 6)
    expected = torch.autograd.grad(trained(given)[0], list(trained.parameters()))
    with using(f"torch,selective_scan={kernels}"):
        found = torch.autograd.grad(trained(given)[0], list(trained.parameters()))
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


def test_first_weights_are_those_of_the_paper() -> None:
    made = model(replace(CONFIG, width=64)).requires_grad_(False)
    for block in made.blocks:
        mixer = block.mixer
        torch.testing.assert_close(mixer.A_log.exp(), torch.arange(1.0, 5.0).expand(128, 4))
        steps = F.softplus(mixer.dt_proj.bias)
        assert float(steps.min()) >= 1e-3 - 1e-6
        assert float(steps.max()) <= 0.1 + 1e-6
        assert (mixer.D == 1).all()
        assert float(mixer.in_proj.weight.abs().max()) <= 64**-0.5
        assert float(mixer.out_proj.weight.abs().max()) <= 128**-0.5 / 2**0.5
        assert float(mixer.conv1d.weight.abs().max()) > 0.9 * 4**-0.5
    torch.testing.assert_close(made.embedding.weight.std(), torch.tensor(0.02), rtol=0.1, atol=0)


def test_a_matrix_of_decays_is_no_matrix() -> None:
    kinds = {name: kind_of(name, parameter) for name, parameter in model().named_parameters()}
    assert kinds["blocks.0.mixer.A_log"] == kinds["blocks.0.mixer.D"] == "vector"
    assert kinds["blocks.0.mixer.in_proj.weight"] == "matrix"


@pytest.mark.parametrize("recompute", [False, True])
def test_memory_is_what_a_step_allocates(recompute: bool) -> None:
    config = replace(CONFIG, width=32)
    trained = MambaTrainingModel(model(config), recompute=recompute)
    for parameter in trained.parameters():
        parameter.grad = torch.zeros_like(parameter)
    given = batch(8, 64)
    trained(given)[0].backward()
    measured = peak_of(lambda: trained(given)[0].backward())
    saved = mamba_activations(config, 8, 64, recompute=recompute)
    told = memory_with(trained.model, DEFAULT_RULES, saved, rows=8 * 64)
    share = (told.activations + told.loss + told.working) / measured
    assert 0.8 < share < 1.2, share


def test_operations_are_six_for_each_number_of_a_matrix() -> None:
    counted = operations(model(), 64)
    matrices = sum(weight.numel() for weight in model().blocks.parameters() if weight.dim() > 1)
    assert counted.needed == 6 * (matrices + 64 * 16)


# --------------------------------------------------------------------------- whole trainings


def given(folder: str, **changes: Any) -> Any:
    """A training of a Mamba; its section `model` has nothing of a decoder's."""
    made = options(folder, **{"data": {"boundaries": False}, "optimizer": [{"rate": 0.02}]} | changes).model_dump()
    mamba = {"architecture": "mamba", "layers": 2, "width": 16, "state_size": 4}
    return type(options()).model_validate(made | {"model": mamba})


@pytest.mark.usefixtures("_training")
def test_losses_fall_and_a_stopped_training_goes_on(base: Path) -> None:
    pretrain(given("whole"), base)
    found = losses(base / "whole")
    assert sum(found[-3:]) < 0.8 * sum(found[:3])
    pretrain(given("run"), base, evaluator=FakeEvaluator(sentences={10: "Enough."}))
    pretrain(given("run"), base)
    assert log_of(base / "run") == log_of(base / "whole")
    assert weights(base / "run") == weights(base / "whole")
    newest = max((base / "whole" / "checkpoints").glob("step-*"))
    read = build_plain(open_checkpoint(newest), torch.float32, "cpu")
    assert isinstance(read, Mamba)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(newest)
    ids = torch.randint(40, (1, 12), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(read.logits(read(ids)[0])[0], theirs(ids).logits[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": {}}, "the state of a Mamba goes on from one document into the next; set boundaries: false"),
        ({"objective": {"name": "prefix_lm"}}, "a Mamba reads from left to right and learns lm, not prefix_lm"),
    ],
)
def test_what_it_cannot_learn_is_refused(changes: dict[str, Any], sentence: str, base: Path) -> None:
    with pytest.raises(TrainingError, match=sentence):
        pretrain(given("refused", **changes), base)
