"""The loss of pairs, worked by hand, and the log-probabilities that it is made of."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from stack.adaptation.tiny_finetuning import decoder, made, opened, pairs
from torch.nn import functional as F

from evalharness.stack.adaptation.batches import PreferenceBatch, Referenced, preference_batch
from evalharness.stack.adaptation.dpo import MEASURES, PreferenceModel, dpo_losses, token_log_probabilities
from evalharness.stack.adaptation.reference import with_reference
from evalharness.stack.corpus.mixtures import Cursor
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.processes import Processes


def test_by_hand() -> None:
    # log p(y_w) = -2, by the reference -3; log p(y_l) = -5, by the reference -4: D = 1 - (-1) = 2.
    (loss,) = dpo_losses(torch.tensor([2.0]), beta=0.5).tolist()
    assert loss == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-6)  # -log sigmoid(1) = 0.3133
    (smoothed,) = dpo_losses(torch.tensor([2.0]), beta=0.5, label_smoothing=0.1).tolist()
    assert smoothed == pytest.approx(0.9 * 0.313262 + 0.1 * 1.313262, abs=1e-6)
    assert dpo_losses(torch.zeros(3), 0.7, 0.3).tolist() == pytest.approx([math.log(2)] * 3)


def test_its_gradient() -> None:
    """By D: ``-beta ((1 - s) sigmoid(-beta D) - s sigmoid(beta D))``."""
    difference = torch.tensor([-3.0, 0.5, 4.0], requires_grad=True)
    dpo_losses(difference, 0.4, 0.2).sum().backward()
    expected = -0.4 * (0.8 * torch.sigmoid(-0.4 * difference) - 0.2 * torch.sigmoid(0.4 * difference))
    assert difference.grad is not None
    torch.testing.assert_close(difference.grad, expected.detach())


def test_log_probabilities_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    from evalharness.stack.adaptation import dpo

    monkeypatch.setattr(dpo, "rows_at_once", lambda kind, vocabulary: 3)
    random = torch.Generator().manual_seed(1)
    hidden, weight = (torch.randn(size, 6, generator=random, requires_grad=True) for size in (8, 11))
    targets = torch.randint(11, (8,), generator=random)
    found = token_log_probabilities(hidden, weight, targets)
    expected = F.log_softmax(hidden @ weight.T, dim=1).gather(1, targets[:, None]).squeeze(1)
    torch.testing.assert_close(found, expected)
    by = torch.arange(8.0)
    ours = torch.autograd.grad(found, (hidden, weight), by)
    theirs = torch.autograd.grad(expected, (hidden, weight), by)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def batch_of(base: Path) -> PreferenceBatch:
    training = opened(made(base, pairs(6)), objective={"name": "dpo"}, batch={"sequences": 4, "micro": 4})
    (batch,), _ = training.source.take(Cursor(), 4, 4)
    assert isinstance(batch, PreferenceBatch)
    return batch


def test_a_training_begins_at_log_2(tmp_path: Path) -> None:
    batch = batch_of(tmp_path)
    assert float(batch.weight) == 4
    model = PreferenceModel(TrainingModel(decoder(0)), beta=0.3, label_smoothing=0.1)
    losses, told = model(batch)
    assert float(losses.detach()) == pytest.approx(4 * math.log(2), rel=1e-6)
    assert len(told) == 1 + len(MEASURES)
    assert float(told[2]) == pytest.approx(0, abs=1e-4)
    assert float(told[3]) == pytest.approx(float(batch.reference_2P[:4].sum()), rel=1e-5)


def test_another_model_prefers_by_what_it_says_otherwise(tmp_path: Path) -> None:
    batch = batch_of(tmp_path)
    model = PreferenceModel(TrainingModel(decoder(5)), beta=0.3, label_smoothing=0.0)
    losses, told = model(batch)
    log = model.log_probabilities(batch.sequences).detach() - batch.reference_2P
    difference = log[:4] - log[4:]
    assert float(losses.detach()) == pytest.approx(float(-F.logsigmoid(0.3 * difference).sum()), rel=1e-6)
    expected = [float((difference > 0).sum()), 0.3 * float(difference.sum())]
    assert told[1:3].tolist() == pytest.approx(expected, rel=1e-5)


def test_the_reference_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = opened(made(tmp_path, pairs(3)), objective={"name": "dpo"})
    found = training.opened.sources["chats"]
    model = training.inner
    assert isinstance(model, PreferenceModel)
    first = with_reference(found, model, tmp_path, "one", 2, Processes())
    assert [type(each) for each in first] == [Referenced] * 3
    log = model.log_probabilities(preference_batch(first).sequences)
    assert [each.chosen for each in first] == pytest.approx(log[:3].tolist(), rel=1e-5)
    assert [each.rejected for each in first] == pytest.approx(log[3:].tolist(), rel=1e-5)
    calls: list[int] = []
    original = PreferenceModel.log_probabilities

    def counted(self: PreferenceModel, batch: object) -> torch.Tensor:
        calls.append(1)
        return original(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(PreferenceModel, "log_probabilities", counted)
    assert with_reference(found, model, tmp_path, "one", 2, Processes()) == first
    assert not calls
    with_reference(found, model, tmp_path, "another", 2, Processes())
    assert len(calls) == 2
