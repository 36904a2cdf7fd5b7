"""rms_norm and its sum: every implementation against float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import FLOATS, compare, normal

from evalharness.stack.kernels.op import using
from evalharness.stack.kernels.rms_norm import add_rms_norm, rms_norm

ROWS = st.integers(0, 6)
WIDTHS = st.sampled_from((1, 2, 3, 7, 16, 41, 64, 129))


def both(x, residual, weight):
    return rms_norm(x, weight, 1e-5), *add_rms_norm(x, residual, weight, 1e-5)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
@settings(max_examples=12, derandomize=True)
@given(rows=ROWS, width=WIDTHS, dtype=st.sampled_from(FLOATS), apart=st.booleans())
def test_any_shape(implementation, rows, width, dtype, apart):
    x = normal(rows, width, dtype=dtype, seed=1)
    if apart:  # rows of a wider matrix
        x = normal(rows, 3 * width, dtype=dtype, seed=1).detach()[:, width : 2 * width].requires_grad_()
    compare(both, (x, normal(rows, width, dtype=dtype, seed=2), normal(width, dtype=dtype, seed=3)), implementation)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_more_axes_in_any_order(implementation):
    x = normal(2, 24, 3, seed=1).detach().transpose(1, 2).requires_grad_()
    compare(both, (x, normal(2, 3, 24, seed=2), normal(24, seed=3)), implementation)


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
@pytest.mark.parametrize("narrow", ["x", "residual", "weight"])
def test_numbers_of_two_types_as_autocast_mixes_them(implementation, narrow):
    dtypes = {name: torch.bfloat16 if name == narrow else torch.float32 for name in ("x", "residual", "weight")}
    given = [
        normal(3, 41, dtype=dtypes["x"], seed=1),
        normal(3, 41, dtype=dtypes["residual"], seed=2),
        normal(41, dtype=dtypes["weight"], seed=3),
    ]
    compare(both, given, implementation)


@pytest.mark.parametrize("implementation", ["reference", "torch"])
def test_gradients_are_those_of_the_function(implementation):
    given = [normal(*shape, seed=seed).double() for seed, shape in enumerate([(3, 5), (3, 5), (5,)])]
    with using(implementation):
        assert torch.autograd.gradcheck(both, given)


def test_numbers_whose_squares_overflow_in_fp16_are_squared_in_fp32():
    x = (normal(4, 33, seed=1).detach() * 3000).half().requires_grad_()
    compare(lambda x, weight: rms_norm(x, weight, 1e-5), (x, normal(33, dtype=torch.float16)), "triton")
