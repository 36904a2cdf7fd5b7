"""A mixture of experts against its formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evalharness.stack.kernels import experts
from evalharness.stack.kernels.op import exactly, using
from evalharness.stack.kernels.tiles import GRAIN
from evalharness.stack.layers import experts as layers
from evalharness.stack.layers.experts import Experts
from evalharness.stack.layers.feedforward import feed_forward
from evalharness.stack.layers.linear import ExactLinear, pack
from evalharness.stack.layers.lora import LoRALinear, LowRank

WIDTH, INNER = 16, 40
X = torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(1))


def made(experts: int = 5, per_token: int = 2, name: str = "swiglu") -> Experts:
    layer = Experts(WIDTH, [feed_forward(name, WIDTH, INNER) for _ in range(experts)], per_token)
    random = torch.Generator().manual_seed(2)
    for parameter in layer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random) * 0.4
    return layer


def by_hand(layer: Experts, x_TW: Tensor) -> Tensor:
    """Token by token."""
    found = []
    for x in x_TW:
        router = layer.router.weight @ x
        chosen = sorted(range(len(layer.experts)), key=lambda number: -router[number])[: layer.per_token]
        weights = router[chosen].exp() / router[chosen].exp().sum()
        passed = (weight * layer.experts[number](x) for weight, number in zip(weights, chosen, strict=True))
        found.append(sum(passed))
    return torch.stack(found)


@pytest.mark.parametrize("name", ["swiglu", "relu"])
@pytest.mark.parametrize(("experts", "per_token"), [(5, 2), (4, 1), (3, 3), (1, 1)])
def test_each_token_passes_through_its_experts(experts: int, per_token: int, name: str) -> None:
    layer = made(experts, per_token, name)
    expected = by_hand(layer, X)
    torch.testing.assert_close(layer(X), expected, atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(layer(X), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(layer(X.view(2, 25, WIDTH)).flatten(0, 1), expected, atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_the_formula() -> None:
    found, expected = made(), made()
    x, y = X.clone().requires_grad_(), X.clone().requires_grad_()
    found(x).square().sum().backward()
    by_hand(expected, y).square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad, atol=1e-4, rtol=1e-4)
    for name, parameter in expected.named_parameters():
        torch.testing.assert_close(found.get_parameter(name).grad, parameter.grad, atol=1e-4, rtol=1e-4, msg=name)


@pytest.mark.parametrize("packed", [False, True])
def test_bits_do_not_depend_on_the_tokens_beside(packed: bool) -> None:
    layer = made(per_token=3).requires_grad_(False)
    if packed:
        pack(layer)
    with torch.inference_mode(), exactly():
        together = layer(X[:48])
        alone = torch.cat([layer(part) for part in X[:48].split(8)])
        mixed = layer(X[:48].flip(0)).flip(0)
    assert torch.equal(together, alone)
    assert torch.equal(together, mixed)


@pytest.mark.parametrize("exact", [True, False])
def test_exact_products_have_whole_grains_of_rows(exact: bool) -> None:
    layer, rows = made(), []
    for expert in layer.experts:
        expert.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    with torch.inference_mode(), exactly(exact):
        assert layer(X[:3]).shape == (3, WIDTH)
    assert rows == [GRAIN] * len(rows) if exact else sum(rows) == 3 * layer.per_token


def test_an_expert_without_tokens_has_gradients_of_zero() -> None:
    layer = made(4, 1)
    layer.router.weight.data[2] = 0.0
    layer.router.weight.data[[0, 1, 3]] = X[:1] * 3
    layer(X[:1]).sum().backward()
    for parameter in layer.experts[2].parameters():
        assert (parameter.grad == 0).all()
    with torch.inference_mode():
        assert layer(X[:1]).shape == (1, WIDTH)


def test_products_in_bf16_leave_the_choice_to_fp32() -> None:
    layer = made().requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(X)
    torch.testing.assert_close(found.float(), layer(X), atol=0.3, rtol=0.1)


# --------------------------------------------------------------------------- products of all experts at once


@pytest.fixture
def grouped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many matrices each grouped product had."""
    seen: list[int] = []

    def listen(x_PI: Tensor, routes: experts.Routes, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
        seen.append(len(weights))
        return experts.grouped_linear(x_PI, routes, weights, biases)

    monkeypatch.setattr(layers, "grouped_linear", listen)
    return seen


@pytest.mark.parametrize("implementation", ["reference", "triton"])
@pytest.mark.parametrize(
    ("name", "matrices"), [("swiglu", [8, 4]), pytest.param("gelu", [4, 4], marks=pytest.mark.long)]
)
def test_products_of_all_experts_at_once_are_those_of_each(
    implementation: str, name: str, matrices: list[int], grouped: list[int]
) -> None:
    expected, found = made(4, 2, name), made(4, 2, name)
    x, y = X[:4].clone().requires_grad_(), X[:4].clone().requires_grad_()
    expected(x).square().sum().backward()
    assert not grouped
    with using(implementation):
        found(y.view(2, 2, WIDTH)).square().sum().backward()
    assert grouped == matrices
    torch.testing.assert_close(y.grad, x.grad, atol=1e-4, rtol=1e-4)
    for name_, parameter in expected.named_parameters():
        torch.testing.assert_close(found.get_parameter(name_).grad, parameter.grad, atol=1e-4, rtol=1e-4, msg=name_)


def test_experts_that_do_more_than_multiply_are_passed_one_by_one(grouped: list[int]) -> None:
    adapted = made(2).requires_grad_(False)
    down = adapted.experts[1].down
    adapted.experts[1].down = LoRALinear(down, LowRank(torch.ones(2, INNER) * 0.1, torch.ones(WIDTH, 2), 1.0))
    packed = made(2).requires_grad_(False)
    pack(packed.experts[0])
    for layer in (adapted, packed):
        expected = layer(X[:9])
        with using("torch,experts=triton"):
            torch.testing.assert_close(layer(X[:9]), expected, atol=1e-5, rtol=1e-5)
    assert not grouped


def test_layers_whose_rows_are_exact_are_grouped_too(grouped: list[int]) -> None:
    layer = made(3).requires_grad_(False)
    expected = layer(X[:9])
    pack(layer, ExactLinear)
    with torch.inference_mode(), using("triton"), exactly():
        together = layer(X[:9])
        assert torch.equal(layer(X[4:6]), together[4:6])
    assert grouped == [3, 3] * 2
    torch.testing.assert_close(together, expected, atol=1e-5, rtol=1e-5)
