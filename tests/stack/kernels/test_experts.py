"""experts: routing and grouped products, every implementation against float64."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, compare, normal, with_gradients
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from evalharness.stack.kernels.experts import TILES, grouped_linear, mix, route, send
from evalharness.stack.kernels.op import TARGETS, using

SCORES = st.tuples(st.integers(0, 20), st.integers(1, 9), st.integers(1, 4))
"""Tokens, experts, experts of a token."""


def scored(tokens: int, experts: int, *, dtype: torch.dtype = torch.float32, seed: int = 1) -> Tensor:
    """Scores of which no two of a token are equal, in bf16 neither."""
    order = normal(tokens, experts, seed=seed, gradient=False).argsort(1)
    return (order.float() / 2 - 1).to(dtype).requires_grad_()


def matrices(count: int, outputs: int, inputs: int, *, dtype: torch.dtype = torch.float32, seed: int = 3) -> list:
    return [normal(outputs, inputs, dtype=dtype, seed=seed + number) for number in range(count)]


def mixture(per_token: int, experts: int, sides: int, biased: bool):
    """x, scores and parameters through one grouped product and back to the tokens."""

    def mixed(x: Tensor, scores: Tensor, *parameters: Tensor) -> Tensor:
        routes = route(scores, per_token)
        weights, biases = parameters[: experts * sides], parameters[experts * sides :] if biased else ()
        return mix(grouped_linear(send(x, routes), routes, weights, biases), routes)

    return mixed


@pytest.mark.parametrize("implementation", ["torch", "triton"])
@settings(max_examples=8, derandomize=True)
@given(shape=SCORES, dtype=st.sampled_from(FLOATS))
def test_any_routes(implementation, shape, dtype):
    tokens, experts, per_token = shape
    compare(
        lambda scores: route(scores, min(per_token, experts)), (scored(tokens, experts, dtype=dtype),), implementation
    )


@pytest.mark.parametrize("implementation", ["torch", "triton"])
@settings(max_examples=3, derandomize=True)
@given(
    shape=SCORES,
    sizes=st.tuples(st.sampled_from((1, 5, 16, 19)), st.sampled_from((1, 4, 16, 21))),
    sides=st.integers(1, 2),
    biased=st.booleans(),
    dtype=st.sampled_from(FLOATS),
)
def test_any_mixture(implementation, shape, sizes, sides, biased, dtype):
    tokens, experts, per_token = shape
    inputs, outputs = sizes
    x = normal(tokens, 2 * inputs, dtype=dtype, seed=2).detach()[:, 1 : 1 + inputs].requires_grad_()
    parameters = matrices(experts * sides, outputs, inputs, dtype=dtype)
    parameters += [normal(outputs, dtype=dtype, seed=50 + number) for number in range(experts * sides * biased)]
    function = mixture(min(per_token, experts), experts, sides, biased)
    # What comes out is rounded on the way: passes, weighted passes, and the rows' gradients of each pass.
    compare(function, (x, scored(tokens, experts), *parameters), implementation, times=3, scale=8 * inputs**0.5)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tiles_of_every_gpu(target, dtype, monkeypatch):
    in_triton = pytest.importorskip("evalharness.stack.kernels.experts.in_triton")
    monkeypatch.setattr(in_triton, "_tiles", lambda x: TILES[target]["halves" if dtype.itemsize == 2 else "whole"])
    parameters = matrices(2, 140, 35, dtype=dtype) + [normal(140, dtype=dtype, seed=50 + n) for n in range(2)]
    x = normal(80, 35, dtype=dtype, seed=2)
    compare(mixture(2, 2, 1, True), (x, scored(80, 2), *parameters), "triton", times=3, scale=50)


def test_weights_may_lie_anywhere():
    """Those that do not begin at a multiple of 16 bytes are copied."""
    x, scores, weights = normal(5, 8, seed=2), scored(5, 2), matrices(2, 4, 8)
    flat = torch.cat([weights[0].new_zeros(1), *(each.flatten() for each in weights)]).detach()
    apart = [flat[1 + at * 32 : 33 + at * 32].view(4, 8) for at in range(2)]
    assert all(each.is_contiguous() and each.data_ptr() % 16 for each in apart)
    with using("triton"):
        assert torch.equal(mixture(1, 2, 1, False)(x, scores, *apart), mixture(1, 2, 1, False)(x, scores, *weights))


@pytest.mark.parametrize("implementation", ["reference", "torch"])
def test_gradients_are_those_of_the_function(implementation):
    given = [normal(5, 3, seed=1), normal(5, 4, seed=2), *matrices(4, 2, 3), *(normal(2, seed=9 + n) for n in range(4))]
    with using(implementation):
        assert torch.autograd.gradcheck(
            mixture(2, 4, 1, True), [each.detach().double().requires_grad_() for each in given]
        )


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
def test_passes_are_sorted_by_expert_and_then_by_token(implementation):
    scores = scored(40, 6)
    with using(implementation):
        routes = route(scores, 3)
    chosen = scores.topk(3, dim=1).indices
    for token, places in enumerate(routes.places_TK.tolist()):
        assert [int(routes.tokens_P[place]) for place in places] == [token] * 3
    begin = 0
    for expert, count in enumerate(routes.counts_E.tolist()):
        tokens = routes.tokens_P[begin : begin + count].tolist()
        assert tokens == [token for token in range(40) if expert in chosen[token].tolist()]
        assert all(one < other for one, other in pairwise(tokens))
        begin += count
    assert bool((routes.weights_TK.diff(dim=1) < 0).all())


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_one_expert_may_have_all_tokens(implementation):
    scores = torch.zeros(20, 3, device=DEVICE)
    scores[:, 1] = 2.0
    compare(
        mixture(1, 3, 1, True),
        (normal(20, 8, seed=2), scores.requires_grad_(), *matrices(3, 5, 8), *(normal(5, seed=n) for n in range(3))),
        implementation,
        scale=20,
    )


@pytest.mark.filterwarnings("ignore:invalid value")
def test_scores_that_are_no_numbers_choose_experts_that_are_there():
    scores = scored(5, 4).detach()
    scores[1] = torch.nan
    scores[2, 3] = torch.nan
    scores[3] = -torch.inf
    with using("triton"):
        routes = route(scores, 2)
    assert int(routes.counts_E.sum()) == 10
    assert sorted(routes.places_TK.flatten().tolist()) == list(range(10))
    assert bool(routes.weights_TK[1:4].isnan().all(1).equal(torch.tensor([True, True, True], device=DEVICE)))
    assert bool(routes.weights_TK[0].isfinite().all())


class Read(TorchDispatchMode):
    """Refuses what makes the processor wait for a device's numbers."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return func(*args, **(kwargs or {}))


def test_counts_are_never_read_on_the_processor():
    arguments = (normal(5, 8, seed=2), scored(5, 2), *matrices(2, 5, 8))
    with using("triton"), Read():
        mixture(1, 2, 1, False)(*arguments).sum().backward()
    with using("torch"), pytest.raises(AssertionError), Read():
        mixture(1, 2, 1, False)(*arguments)


def test_a_rows_bits_do_not_depend_on_what_is_beside_it():
    x, scores = normal(20, 20, seed=2, gradient=False), scored(20, 3).detach()
    weights = [each.detach() for each in matrices(3, 8, 20)]
    function = mixture(2, 3, 1, False)
    with using("triton"):
        together = function(x, scores, *weights)
        for few in (1, 17):
            assert torch.equal(function(x[-few:], scores[-few:], *weights), together[-few:])
        assert torch.equal(function(x.flip(0), scores.flip(0), *weights).flip(0), together)


@pytest.mark.long
def test_equal_inputs_give_equal_bits():
    arguments = (normal(20, 12, seed=2), scored(20, 3), *matrices(3, 5, 12))
    with using("triton"):
        first, again = (with_gradients(mixture(2, 3, 1, False), arguments) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_under_autocast_products_are_narrow_and_gradients_of_weights_wide(implementation):
    arguments = (normal(9, 16, seed=2), scored(9, 3), *matrices(3, 5, 16))
    with using("reference"):
        exact = with_gradients(mixture(2, 3, 1, False), arguments)
    with using(implementation), torch.autocast(DEVICE, torch.bfloat16):
        found = with_gradients(mixture(2, 3, 1, False), arguments)
    assert found[0].dtype == torch.bfloat16
    for ours, true in zip(found, exact, strict=True):
        torch.testing.assert_close(ours.to(true.dtype), true, atol=0.05 * float(true.abs().max()), rtol=0)
    assert all(gradient.dtype == torch.float32 for gradient in found[1:])
