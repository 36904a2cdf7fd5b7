"""cross_entropy: every implementation against float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, compare, normal

from evalharness.stack.kernels.cross_entropy import IGNORED, cross_entropy
from evalharness.stack.kernels.op import using


def targets(rows, vocabulary):
    ids = torch.randint(0, vocabulary, (rows,), generator=torch.Generator().manual_seed(2))
    ids[1::3] = IGNORED
    return ids.to(DEVICE)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
@settings(max_examples=14, derandomize=True)
@given(
    rows=st.integers(0, 5),
    vocabulary=st.sampled_from((1, 3, 41, 300, 4099)),
    dtype=st.sampled_from(FLOATS),
    apart=st.booleans(),
    z_loss=st.sampled_from((0.0, 0.1)),
)
def test_any_shape(implementation, rows, vocabulary, dtype, apart, z_loss):
    logits = normal(rows, vocabulary, dtype=dtype, seed=1)
    if apart:
        logits = normal(rows, 2 * vocabulary, dtype=dtype, seed=1).detach()[:, vocabulary:].requires_grad_()
    compare(lambda logits, ids: cross_entropy(logits, ids, z_loss), (logits, targets(rows, vocabulary)), implementation)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_tokens_that_cannot_be_are_left_out(implementation):
    logits = normal(4, 4200, seed=1).detach()
    logits[:, :4100] = -torch.inf
    compare(cross_entropy, (logits.requires_grad_(), torch.full((4,), 4150, device=DEVICE)), implementation)


def test_gradients_are_those_of_the_function():
    logits = normal(4, 9, seed=1).detach().double().requires_grad_()
    for implementation in ("reference", "torch"):
        with using(implementation):
            assert torch.autograd.gradcheck(lambda x: cross_entropy(x, targets(4, 9), 0.1), (logits,))
