"""linear_scoring: every implementation against float64, and what is never in memory."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, Shapes, compare, normal

from evalharness.stack.kernels.linear_scoring import in_torch, linear_scoring
from evalharness.stack.kernels.op import using


def inputs(rows, width, vocabulary, dtype=torch.float32):
    targets = torch.randint(0, vocabulary, (rows,), generator=torch.Generator().manual_seed(3)).to(DEVICE)
    hidden = normal(rows, width, dtype=dtype, seed=1, gradient=False)
    weight = normal(vocabulary, width, dtype=dtype, seed=2, gradient=False)
    if vocabulary > 1:  # every third target is the likeliest token
        targets[::3] = (hidden.double() @ weight.double().t()).argmax(1)[::3]
    return hidden, weight, targets


def against_float64(given, implementation):
    """Scores are differences of logits, and rounded like these."""
    hidden, weight, _ = given
    logits = hidden.double() @ weight.double().t()
    compare(linear_scoring, given, implementation, scale=float(logits.abs().max()) if len(logits) else 0.0)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
@settings(max_examples=10, derandomize=True)
@given(
    rows=st.sampled_from((0, 1, 3, 17, 33)),
    width=st.sampled_from((1, 5, 32, 41)),
    vocabulary=st.sampled_from((1, 3, 128, 300)),
    dtype=st.sampled_from(FLOATS),
)
def test_any_shape(implementation, rows, width, vocabulary, dtype):
    against_float64(inputs(rows, width, vocabulary, dtype), implementation)


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
def test_of_equally_likely_tokens_the_first_is_greedy(implementation):
    hidden, weight = torch.ones(2, 4, device=DEVICE), torch.zeros(200, 4, device=DEVICE)
    weight[[30, 170]] = 1.0
    with using(implementation):
        scored = linear_scoring(hidden, weight, torch.tensor([30, 170], device=DEVICE))
    assert scored.greedy_R.tolist() == [True, False]


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_large_logits_neither_overflow_nor_lose_the_entropy(implementation):
    hidden, weight, targets = inputs(5, 16, 200)
    against_float64((hidden * 300, weight, targets), implementation)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_rows_that_do_not_lie_together(implementation):
    hidden, weight, targets = inputs(6, 40, 150)
    against_float64((hidden[::2, :20], weight[:, 20:], targets[::2]), implementation)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_the_logits_of_all_rows_are_never_there(implementation, monkeypatch):
    monkeypatch.setitem(in_torch.LOGITS_AT_ONCE, DEVICE, 10 * 700)
    hidden, weight, targets = inputs(90, 8, 700)
    with using(implementation), Shapes() as shapes:
        linear_scoring(hidden, weight, targets)
    assert max(torch.Size(shape).numel() for shape in shapes.seen if 700 in shape) <= 10 * 700
    assert shapes.largest < 90 * 700 / 2
