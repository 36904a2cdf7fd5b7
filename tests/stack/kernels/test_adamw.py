"""adamw: every implementation against float64, and torch's own optimizer over several steps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import FLOATS, compare, normal

from evalharness.stack.kernels.adamw import adamw
from evalharness.stack.kernels.op import using


def stepped(parameter, gradient, mean, square, step):
    given = [part.clone(memory_format=torch.preserve_format) for part in (parameter, gradient, mean, square)]
    adamw(*([part] for part in given), step=step, rate=0.1, betas=(0.9, 0.99), epsilon=1e-8, decay=0.05)
    return given[0], given[2], given[3]


def state(*shape, dtype=torch.float32):
    given = [normal(*shape, dtype=dtype, seed=seed, gradient=False) for seed in range(4)]
    return *given[:3], given[3].square()


@pytest.mark.parametrize("implementation", ["torch", "triton"])
@settings(max_examples=10, derandomize=True)
@given(
    shape=st.sampled_from(((), (0,), (1,), (7,), (3, 5), (2, 1025))),
    dtype=st.sampled_from(FLOATS),
    step=st.sampled_from((1, 2, 1000)),
)
def test_any_shape(implementation, shape, dtype, step):
    compare(stepped, (*state(*shape, dtype=dtype), step), implementation)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_memory_in_another_order(implementation):
    given = state(6, 4)
    compare(stepped, (given[0].t(), given[1].t().contiguous(), given[2].t(), given[3].t(), 3), implementation)


def test_several_parameters_over_several_steps_are_those_of_torchs_optimizer():
    starts = [normal(9, 4, seed=1, gradient=False), normal(5, seed=2, gradient=False)]
    theirs = [start.clone().requires_grad_() for start in starts]
    optimizer = torch.optim.AdamW(theirs, lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    ours = [start.clone() for start in starts]
    means, squares = ([torch.zeros_like(start) for start in starts] for _ in range(2))
    for step in range(1, 6):
        gradients = [normal(*start.shape, seed=10 * step, gradient=False) for start in starts]
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        with using("triton"):
            adamw(ours, gradients, means, squares, step=step, rate=0.01, betas=(0.9, 0.95), epsilon=1e-8, decay=0.1)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other.detach(), atol=1e-6, rtol=1e-6)
