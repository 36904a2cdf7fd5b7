"""sample: every implementation draws what the definitions say, but for points that rounding may move."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, normal

from evalharness.stack.kernels.op import using
from evalharness.stack.kernels.sampling import sample
from evalharness.stack.kernels.sampling.reference import kept_probabilities


def of_all(count, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    """The values of `count` rows, all alike."""
    values = (torch.full((count,), value, device=DEVICE) for value in (temperature, top_k, top_p, min_p))
    return tuple(values)


def check(logits, points, ids, temperature, top_k, top_p, min_p):
    """The drawn token is kept, and the point lies in its share, but for rounding."""
    for logits_V, point, id in zip(logits.double(), points.tolist(), ids.tolist(), strict=True):
        if temperature == 0:
            assert id == int(logits_V.argmax())
            continue
        # Thresholds between two nearly equal sums may fall either way: the share of top-p a little up or down.
        either = [
            kept_probabilities(logits_V, temperature, top_k, p, min_p) for p in (top_p - 1e-6, top_p, top_p + 1e-6)
        ]
        assert any(fits(kept, point, id) for kept in either), f"token {id} at {point}"


def fits(kept_V, point, id):
    cumulated = kept_V.cumsum(0) / kept_V.sum()
    before = float(cumulated[id] - kept_V[id] / kept_V.sum())
    return bool(kept_V[id] > 0) and before - 1e-5 <= point <= float(cumulated[id]) + 1e-5


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
@settings(max_examples=10, derandomize=True)
@given(
    vocabulary=st.sampled_from((1, 2, 7, 64, 300)),
    dtype=st.sampled_from(FLOATS),
    temperature=st.sampled_from((0.0, 0.3, 1.0, 2.0)),
    top_k=st.sampled_from((0, 1, 5, 1000)),
    top_p=st.sampled_from((0.0, 0.5, 0.9, 1.0)),
    min_p=st.sampled_from((0.0, 0.1)),
)
def test_draws_what_the_definitions_say(implementation, vocabulary, dtype, temperature, top_k, top_p, min_p):
    points = torch.tensor([0.2, 0.9999], device=DEVICE)
    logits = normal(2, vocabulary, dtype=dtype, seed=vocabulary, gradient=False) * 2
    with using(implementation):
        ids = sample(logits, points, *of_all(2, temperature, top_k, top_p, min_p))
    assert (ids.dtype, ids.shape) == (torch.int64, (2,))
    check(logits, points, ids, temperature, top_k, top_p, min_p)


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
def test_rows_are_drawn_each_by_its_own_values(implementation):
    logits = torch.tensor([[0.0, 3.0, 2.9, -1.0]] * 5, device=DEVICE)
    points = torch.tensor([0.999, 0.999, 0.999, 0.999, 0.999], device=DEVICE)
    values = (
        torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0], device=DEVICE),
        torch.tensor([0, 2, 0, 0, 1], device=DEVICE),
        torch.tensor([1.0, 1.0, 0.6, 1.0, 1.0], device=DEVICE),
        torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0], device=DEVICE),
    )
    with using(implementation):
        assert sample(logits, points, *values).tolist() == [1, 2, 2, 3, 1]


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
def test_equals_are_kept_together_and_the_impossible_is_never_drawn(implementation):
    logits = torch.tensor([[1.0, -torch.inf, 1.0, 1.0, -torch.inf]] * 3, device=DEVICE)
    points = torch.tensor([0.0, 0.5, 1 - 2**-24], device=DEVICE)
    with using(implementation):
        assert sample(logits, points, *of_all(3, 1.0, 1, 0.3)).tolist() == [0, 2, 3]


def test_no_rows():
    for implementation in ("reference", "torch", "triton"):
        with using(implementation):
            assert sample(torch.zeros(0, 5, device=DEVICE), torch.zeros(0, device=DEVICE), *of_all(0)).shape == (0,)
