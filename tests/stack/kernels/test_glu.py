"""glu: every implementation against float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import FLOATS, compare, normal

from evalharness.stack.kernels.glu import glu
from evalharness.stack.kernels.op import using

ACTIVATIONS = ("swish", "gelu", "gelu_tanh", "relu")


@pytest.mark.parametrize("implementation", ["torch", "triton"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@settings(max_examples=6, derandomize=True)
@given(
    rows=st.integers(0, 4),
    width=st.sampled_from((1, 3, 16, 41, 1030)),
    dtype=st.sampled_from(FLOATS),
    apart=st.booleans(),
)
def test_any_shape(implementation, activation, rows, width, dtype, apart):
    x = normal(rows, 2 * width, dtype=dtype, seed=1)
    if apart:
        x = normal(rows, 5 * width, dtype=dtype, seed=1).detach()[:, width : 3 * width].requires_grad_()
    compare(lambda x: glu(x, activation), (x,), implementation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_far_from_zero_nothing_overflows(activation):
    x = (normal(3, 40, seed=1).detach() * 100).requires_grad_()
    compare(lambda x: glu(x, activation), (x,), "triton")


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_the_function(activation):
    x = normal(3, 10, seed=1).detach().double().requires_grad_()
    for implementation in ("reference", "torch"):
        with using(implementation):
            assert torch.autograd.gradcheck(lambda x: glu(x, activation), (x,))
