"""rope, partial and scaled: every implementation against float64, and the positions of the stack's own layers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, compare, normal

from evalharness.stack.config import Llama3Scaling, NTKScaling, YarnScaling
from evalharness.stack.kernels.op import using
from evalharness.stack.kernels.rope import rope
from evalharness.stack.layers.rotary import rotary_frequencies, rotation, sharpening

SCALINGS = (
    None,
    NTKScaling(factor=4.0),
    YarnScaling(factor=4.0, original_length=16),
    Llama3Scaling(factor=8.0, low_frequency_factor=1.0, high_frequency_factor=4.0, original_length=32),
)


def angles(tokens, turned, dtype, scaling=None):
    positions = torch.arange(tokens, device=DEVICE) * 3
    return rotation(positions, rotary_frequencies(turned, 1e4, scaling), dtype, sharpening(scaling))


@pytest.mark.parametrize("implementation", ["torch", "triton"])
@settings(max_examples=14, derandomize=True)
@given(
    batch=st.sampled_from(((), (2,))),
    tokens=st.integers(0, 5),
    heads=st.sampled_from((1, 3, 17)),
    size=st.sampled_from(((4, 4), (6, 6), (10, 4), (16, 12), (80, 20))),
    dtype=st.sampled_from(FLOATS),
    scaling=st.sampled_from(SCALINGS),
)
def test_any_shape(implementation, batch, tokens, heads, size, dtype, scaling):
    whole, turned = size
    x = normal(*batch, tokens, heads, whole, dtype=dtype, seed=1)
    compare(rope, (x, *angles(tokens, turned, dtype, scaling)), implementation)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_heads_cut_out_of_one_projection(implementation):
    x = normal(4, 7 * 8, seed=1).detach().unflatten(-1, (-1, 8))[:, 2:5].requires_grad_()
    compare(rope, (x, *angles(4, 8, torch.float32)), implementation)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_positions_that_differ_between_the_sequences_of_a_batch(implementation):
    x = normal(2, 3, 2, 8, seed=1)
    positions = torch.tensor([[0, 1, 2], [7, 8, 9]], device=DEVICE)
    compare(rope, (x, *rotation(positions, rotary_frequencies(8, 1e4), torch.float32)), implementation)


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
@pytest.mark.parametrize("turned", [8, 4])
def test_angles_of_another_type_as_autocast_mixes_them(implementation, turned):
    x = normal(3, 2, 8, dtype=torch.bfloat16, seed=1)
    compare(rope, (x, *angles(3, turned, torch.float32)), implementation)


def test_gradients_are_those_of_the_function():
    x = normal(3, 2, 10, seed=1).detach().double().requires_grad_()
    for implementation in ("reference", "torch"):
        with using(implementation):
            assert torch.autograd.gradcheck(rope, (x, *angles(3, 6, torch.float64)))
