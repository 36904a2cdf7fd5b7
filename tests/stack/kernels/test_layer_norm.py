"""layer_norm: every implementation against float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import FLOATS, compare, normal

from evalharness.stack.kernels.layer_norm import layer_norm
from evalharness.stack.kernels.op import using


def normed(x, weight, bias):
    return layer_norm(x, weight, bias, 1e-5)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
@settings(max_examples=12, derandomize=True)
@given(
    rows=st.integers(0, 6),
    width=st.sampled_from((2, 3, 7, 16, 41, 64, 129)),
    dtype=st.sampled_from(FLOATS),
    apart=st.booleans(),
    biased=st.booleans(),
)
def test_any_shape(implementation, rows, width, dtype, apart, biased):
    x = normal(rows, width, dtype=dtype, seed=1)
    if apart:  # rows of a wider matrix
        x = normal(rows, 3 * width, dtype=dtype, seed=1).detach()[:, width : 2 * width].requires_grad_()
    bias = normal(width, dtype=dtype, seed=3) if biased else None
    compare(normed, (x, normal(width, dtype=dtype, seed=2), bias), implementation)


def test_a_mean_far_from_zero_costs_no_digits():
    x = (normal(5, 100, seed=1).detach() + 1000).requires_grad_()
    compare(normed, (x, normal(100, seed=2), normal(100, seed=3)), "triton")


@pytest.mark.parametrize("implementation", ["reference", "torch"])
def test_gradients_are_those_of_the_function(implementation):
    given = [
        normal(*shape, seed=seed).detach().double().requires_grad_() for seed, shape in enumerate([(3, 5), (5,), (5,)])
    ]
    with using(implementation):
        assert torch.autograd.gradcheck(normed, given)
