"""Layers with adapters in a training: the outputs and gradients of the formula, whatever lies side by side."""

from __future__ import annotations

import copy
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from evalharness.stack.layers.linear import SideBySide
from evalharness.stack.layers.lora import LoRALinear, LowRank
from evalharness.stack.training.products import use_fast_products

PARTS = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from(["plain", "own", "shared"]), st.integers(1, 5)), min_size=1, max_size=4
)


def made(
    parts: list[tuple[int, str, int]], inputs: int, *, bias: bool, dropout: float = 0.0, seed: int = 0
) -> SideBySide:
    """Layers of so many outputs, with an adapter of their own, or one whose A all such layers share."""
    torch.manual_seed(seed)
    shared = nn.Parameter(torch.randn(2, inputs))
    layers: dict[str, Any] = {}
    for number, (outputs, kind, rank) in enumerate(parts):
        layer = nn.Linear(inputs, outputs, bias=bias).requires_grad_(False)
        if kind != "plain":
            down = shared if kind == "shared" else torch.randn(rank, inputs)
            layer = LoRALinear(layer, LowRank(down, torch.randn(outputs, len(down)), 1.5), dropout)
        layers[f"part{number}"] = layer
    return SideBySide(**layers)


def gradients(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Of a sum with weights, by the inputs and all that learns; and the outputs."""
    x = x.clone().requires_grad_()
    found = model(x)
    weights = torch.linspace(-1, 1, found.numel(), dtype=found.dtype).view_as(found)
    if found.requires_grad:
        (found * weights).sum().backward()
    grads = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    return {"output": found.detach(), "x": x.grad, **grads}


@settings(max_examples=30)
@given(PARTS, st.integers(1, 7), st.booleans(), st.sampled_from([(3,), (2, 3), (2, 1, 4)]))
def test_outputs_and_gradients_are_those_of_the_formula(
    parts: list[tuple[int, str, int]], inputs: int, bias: bool, shape: tuple[int, ...]
) -> None:
    plain = made(parts, inputs, bias=bias).double()
    fast = copy.deepcopy(plain)
    use_fast_products(fast)
    x = torch.randn(*shape, inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected, found = gradients(plain, x), gradients(fast, x)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-10, rtol=0)


def test_large_layers_by_the_fast_product_too() -> None:
    parts = [(320, "own", 8), (64, "plain", 1), (64, "own", 4)]
    plain = made(parts, 256, bias=True)
    fast = copy.deepcopy(plain)
    use_fast_products(fast)
    x = torch.randn(2, 200, 256, generator=torch.Generator().manual_seed(1))
    expected, found = gradients(plain, x), gradients(fast, x)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-5 * float(tensor.abs().max()), rtol=0)


def test_the_inputs_that_are_dropped() -> None:
    plain = made([(4, "own", 2)], 6, bias=False, dropout=0.5).double()
    fast = copy.deepcopy(plain)
    use_fast_products(fast)
    x = torch.randn(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = []
    for model in (plain, fast):
        torch.manual_seed(2)
        found.append(gradients(model, x))
    for name, tensor in found[0].items():
        torch.testing.assert_close(found[1][name], tensor, atol=1e-12, rtol=0)
    fast.eval()
    torch.testing.assert_close(fast(x), made([(4, "own", 2)], 6, bias=False).double()(x), atol=1e-12, rtol=0)


def test_a_gradient_by_what_is_frozen_is_not_computed() -> None:
    model = made([(4, "own", 2), (3, "own", 2)], 6, bias=True)
    use_fast_products(model)
    x = torch.randn(3, 6)
    model(x).sum().backward()
    layer = model.part0
    assert layer.weight.grad is None
    assert layer.bias.grad is None
    assert layer.lora_A.grad is not None


def test_frozen_weights_lie_together_and_are_not_copied_again() -> None:
    model = made([(4, "own", 2), (3, "plain", 2)], 6, bias=False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    use_fast_products(model)
    assert model.part1.weight.data_ptr() == model.part0.weight.data_ptr() + 4 * 6 * 4
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        model(torch.randn(3, 6))
    assert any(tensor.shape == (7, 6) and tensor.data_ptr() == model.part0.weight.data_ptr() for tensor in kept)
    x = torch.randn(2, 6)
    expected = model(x).detach()
    model.part1.weight.data = model.part1.weight.data.clone()  # as a move to another device does
    torch.testing.assert_close(model(x).detach(), expected)


def test_under_autocast_it_is_the_plain_formula() -> None:
    plain = made([(4, "own", 2), (3, "plain", 2)], 6, bias=True)
    fast = copy.deepcopy(plain)
    use_fast_products(fast)
    x = torch.randn(3, 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fast(x), plain(x))
        assert fast(x).dtype == torch.bfloat16
