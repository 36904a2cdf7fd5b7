"""The gradient of a global batch is that of its mean loss, however it is cut up."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.architectures.options import ModelOptions
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.attention import BatchAttention
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.processes import Processes
from evalharness.stack.training.step import Gradients, backward, mean_losses, update

CPU, ALONE = torch.device("cpu"), Processes()


def model(z_loss: float = 0.0, embedding_gradient: float = 1.0, **changes: Any) -> TrainingModel:
    given: dict[str, Any] = {"layers": 2, "width": 16, "heads": 2, "ffn_width": 24, "initial_deviation": 0.3}
    chosen = ModelOptions.model_validate(given | changes)
    decoder = Decoder(chosen.to_config(vocab_size=20, max_length=12, bos_id=None, eos_ids=()))
    initialize(decoder, 3, 0.3)
    return TrainingModel(decoder, z_loss=z_loss, embedding_gradient=embedding_gradient)


def batch(sequences: int = 4, weights: Tensor | None = None) -> Batch:
    random = torch.Generator().manual_seed(5)
    ids = torch.randint(0, 20, (sequences, 9), generator=random)
    given = torch.rand(sequences, 8, generator=random) * (torch.rand(sequences, 8, generator=random) > 0.3)
    return Batch(ids[:, :-1], ids[:, 1:], given if weights is None else weights, torch.arange(8), None, None)


def parts(whole: Batch, *sizes: int) -> list[Batch]:
    cut = [whole.inputs_BT.split(sizes), whole.targets_BT.split(sizes), whole.weights_BT.split(sizes)]
    return [Batch(*part, whole.positions, None, None) for part in zip(*cut, strict=True)]


def by_hand(trained: TrainingModel, whole: Batch, z_loss: float = 0.0) -> tuple[Tensor, list[Tensor]]:
    """Mean of the losses by their weights, and its gradients, by torch's own cross entropy."""
    decoder = trained.decoder
    hidden = decoder.norm(decoder(whole.inputs_BT, whole.positions, BatchAttention()))
    logits = hidden @ decoder.head.weight.t()  # type: ignore[operator]
    losses = nn.functional.cross_entropy(logits.flatten(0, 1), whole.targets_BT.flatten(), reduction="none")
    weights = whole.weights_BT.flatten()
    plain = (losses * weights).sum() / weights.sum()
    norms = logits.logsumexp(-1).flatten().square()
    total = plain + z_loss * (norms * weights).sum() / weights.sum()
    return plain.detach(), list(torch.autograd.grad(total, list(decoder.parameters())))


def gradients_of(trained: TrainingModel) -> list[Tensor]:
    return [parameter.grad for parameter in trained.decoder.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("sizes", [(4,), (2, 2), (1, 1, 1, 1), (3, 1)])
@pytest.mark.parametrize("z_loss", [0.0, 0.01])
def test_it_is_the_gradient_of_the_mean_loss(sizes: tuple[int, ...], z_loss: float) -> None:
    trained, whole = model(z_loss), batch()
    loss, expected = by_hand(trained, whole, z_loss)
    found = backward(trained, parts(whole, *sizes), ALONE, CPU, None)
    assert found.loss == pytest.approx(float(loss), rel=1e-5)
    assert found.norm == pytest.approx(math.sqrt(sum(float(one.square().sum()) for one in expected)), rel=1e-5)
    for one, other in zip(gradients_of(trained), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_it_is_clipped_to_a_norm_and_told_as_it_was() -> None:
    trained, whole = model(), batch()
    free = backward(trained, [whole], ALONE, CPU, None)
    trained.zero_grad()
    clipped = backward(trained, [whole], ALONE, CPU, free.norm / 4)
    assert clipped == free
    norm = math.sqrt(sum(float(one.square().sum()) for one in gradients_of(trained)))
    assert norm == pytest.approx(free.norm / 4, rel=1e-4)


def test_the_embedding_gradient_shrinks_alone() -> None:
    whole, full, shrunk = batch(), model(), model(embedding_gradient=0.1)
    assert backward(full, [whole], ALONE, CPU, None).loss == backward(shrunk, [whole], ALONE, CPU, None).loss
    named = dict(full.decoder.named_parameters())
    for name, parameter in shrunk.decoder.named_parameters():
        factor = 0.1 if name == "embedding.weight" else 1.0
        torch.testing.assert_close(parameter.grad, named[name].grad * factor)  # type: ignore[operator]


def test_a_batch_of_which_nothing_is_learned_is_told() -> None:
    with pytest.raises(TrainingError, match="No token of a batch is learned"):
        backward(model(), [batch(weights=torch.zeros(4, 8))], ALONE, CPU, 1.0)


def test_after_an_update_no_gradient_is_left() -> None:
    trained = model()
    backward(trained, [batch()], ALONE, CPU, None)
    before = {name: parameter.clone() for name, parameter in trained.named_parameters()}
    update(trained, [torch.optim.SGD(trained.parameters(), lr=0.1)])
    assert not gradients_of(trained)
    assert all(not torch.equal(parameter, before[name]) for name, parameter in trained.named_parameters())


def test_the_loss_of_a_validation_is_that_of_all_targets() -> None:
    trained, whole = model(z_loss=0.1), batch()
    loss, _ = by_hand(trained, whole)
    assert mean_losses(trained, parts(whole, 3, 1), ALONE, CPU)[0] == pytest.approx(float(loss), rel=1e-6)
    assert math.isnan(mean_losses(trained, [batch(weights=torch.zeros(4, 8))], ALONE, CPU)[0])


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (1.0, math.inf)])
def test_what_is_no_finite_number(loss: float, norm: float) -> None:
    assert not Gradients(loss, norm).finite
    assert Gradients(1.0, 1.0).finite
