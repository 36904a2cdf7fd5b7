"""The loss that balances experts against Mixtral's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from stack.architectures.combinations import config_of
from stack.training.tiny_pretraining import log_of, options
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.layers.experts import Experts
from evalharness.stack.layers.feedforward import feed_forward
from evalharness.stack.training.balance import Balance, balance
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.pretrain import pretrain

WIDTH = 16
X = torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(1))


def made(experts: int, per_token: int) -> Experts:
    layer = Experts(WIDTH, [feed_forward("swiglu", WIDTH, 24) for _ in range(experts)], per_token)
    random = torch.Generator().manual_seed(2)
    for parameter in layer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random) * 0.4
    return layer


@pytest.mark.parametrize("per_token", [1, 2, 3])
def test_it_is_mixtrals(per_token: int) -> None:
    scores = torch.randn(50, 5, generator=torch.Generator().manual_seed(3), requires_grad=True)
    expected = load_balancing_loss_func((scores,), 5, per_token)
    found = balance(scores, per_token)
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad(found, scores)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, scores)[0])


def test_it_is_least_where_all_experts_have_as_much() -> None:
    even, one = torch.eye(4).repeat(3, 1) * 30, torch.eye(4)[:1].repeat(12, 1) * 30
    assert balance(even, 1).item() == pytest.approx(1.0)
    assert balance(one, 1).item() == pytest.approx(4.0)


@pytest.mark.parametrize("again", [False, True])
def test_a_models_is_the_mean_over_its_layers(again: bool) -> None:
    first, second = made(5, 2), made(3, 1)
    model = nn.Sequential(first, nn.Linear(WIDTH, WIDTH), second)
    heard = Balance(model)

    def passed() -> torch.Tensor:
        return checkpoint(model, X, use_reentrant=False) if again else model(X)

    passed().sum().backward()  # is not listened to
    heard.begin()
    passed()
    found = heard.loss()
    assert found is not None
    with torch.no_grad():
        within = model[1](first(X))
        expected = (balance(first.router(X), 2) + balance(second.router(within), 1)) / 2
    torch.testing.assert_close(found, expected)
    model.zero_grad()
    found.backward()
    assert first.router.weight.grad is not None
    assert first.router.weight.grad.abs().sum() > 0


def trained(balance_loss: float, *, again: bool = False) -> tuple[Tensor, Tensor, TrainingModel]:
    config = config_of({}, experts=3)
    decoder = Decoder(config)
    initialize(decoder, seed=1, deviation=0.3)
    model = TrainingModel(decoder, balance_loss=balance_loss, recompute=again)
    ids = torch.randint(0, 64, (4, 20), generator=torch.Generator().manual_seed(2))
    weights = torch.ones(4, 20)
    weights[0, :7] = 0
    losses, plain = model(Batch(ids, ids.roll(-1, 1), weights, torch.arange(20), None, None))
    losses.backward()
    return losses.detach(), plain, model


def test_a_training_adds_it_for_every_target() -> None:
    without, plain, _ = trained(0.0)
    torch.testing.assert_close(without, plain)
    losses, same, model = trained(0.5)
    assert torch.equal(same, plain)
    added = (losses - plain) / (0.5 * 73)
    assert 1.9 < added.item() < 3
    again, _, other = trained(0.5, again=True)
    assert torch.equal(again, losses)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.equal(parameter.grad, other.get_parameter(name).grad), name


def test_it_keeps_experts_busy() -> None:
    """Routers that begin with one expert for all come to use the others."""
    shares = {}
    for coefficient in (0.0, 1.0):
        torch.manual_seed(0)
        layer = made(4, 1)
        layer.router.weight.data[0] = 2 * X.mean(0) / X.mean(0).square().sum()
        heard = Balance(layer)
        optimizer = torch.optim.SGD([layer.router.weight], lr=0.3)
        for _ in range(60):
            heard.begin()
            fitted = (layer(X) - X).square().mean()
            (0.1 * fitted + coefficient * heard.loss()).backward()
            optimizer.step()
            optimizer.zero_grad()
        shares[coefficient] = F.one_hot(layer.router(X).argmax(-1), 4).float().mean(0).amax().item()
    assert shares[1.0] < 0.45 < shares[0.0]


def test_without_experts_or_gradients_there_is_none() -> None:
    assert Balance(feed_forward("relu", WIDTH, 24)).loss() is None
    layer = made(4, 2)
    heard = Balance(layer)
    heard.begin()
    with torch.no_grad():
        layer(X)
    assert heard.loss() is None
    assert heard.shares is not None


def test_the_shares_of_a_pass() -> None:
    first, second = made(4, 2), made(3, 1)
    heard = Balance(nn.Sequential(first, second))
    heard.begin()
    second(first(X))
    heard.loss()
    expected = []
    for layer, x in ((first, X), (second, first(X))):
        passes = layer.router(x).topk(layer.per_token).indices.flatten()
        expected += [float((passes == number).float().mean()) for number in range(len(layer.experts))]
    assert heard.shares is not None
    assert heard.shares.tolist() == pytest.approx(expected)
    assert not heard.shares.requires_grad


@pytest.mark.usefixtures("_training")
def test_a_trainings_log_tells_them(base: Path) -> None:
    """Each is the mean over the steps since the last line, and those of a block are 1 together."""
    model = {"experts": 3, "experts_per_token": 2}
    pretrain(options(model=model, steps=6, log_every=2, checkpoints={"every": 6}), base)
    pretrain(options("each", model=model, steps=6, checkpoints={"every": 6}), base)
    log, each = (
        [line for line in log_of(base / folder) if any(key.endswith("experts/0/0") for key in line)]
        for folder in ("run", "each")
    )
    assert [line["step"] for line in log] == [2, 4, 6, 6]
    for line in log[:3]:
        shares = {key: value for key, value in line.items() if key.startswith("experts/")}
        assert list(shares) == [f"experts/{block}/{expert}" for block in (0, 1) for expert in (0, 1, 2)]
        assert sum(list(shares.values())[:3]) == pytest.approx(1)
        assert sum(list(shares.values())[3:]) == pytest.approx(1)
    assert log[1]["experts/1/2"] == pytest.approx((each[2]["experts/1/2"] + each[3]["experts/1/2"]) / 2)
    assert "validation_experts/1/2" in log[3]
