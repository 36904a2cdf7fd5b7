"""linear_scoring: every implementation against float64, and what is never in memory."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, Shapes, compare, normal

from evalharness.stack.kernels.linear_scoring import heads, linear_scoring
from evalharness.stack.kernels.op import TARGETS, using


class Layer:
    """A head whose weight is not at hand."""

    def __init__(self, weight):
        self.weight, self.out_features = weight, len(weight)

    def __call__(self, hidden):
        return hidden @ self.weight.to(hidden.dtype).t()


class Said:
    """A head whose logits are told: a hidden state is the number of its row."""

    def __init__(self, logits):
        self.logits, self.out_features = logits, logits.shape[1]

    def __call__(self, hidden):
        return self.logits[hidden[:, 0].long()]


def inputs(rows, width, vocabulary, dtype=torch.float32, count=1):
    targets = torch.randint(0, vocabulary, (rows, count), generator=torch.Generator().manual_seed(3)).to(DEVICE)
    hidden = normal(rows, width, dtype=dtype, seed=1, gradient=False)
    weight = normal(vocabulary, width, dtype=dtype, seed=2, gradient=False)
    if vocabulary > 1:  # every third target is the likeliest token
        targets[::3, -1] = (hidden.double() @ weight.double().t()).argmax(1)[::3]
    return hidden, weight, targets


def by_weight(*given):
    return linear_scoring(*given, entropies=True)


def by_layer(hidden, weight, targets):
    return linear_scoring(hidden, Layer(weight), targets, entropies=True)


def against_float64(given, implementation, function=by_weight):
    """Scores are differences of logits, and rounded like these."""
    hidden, weight, _ = given
    logits = hidden.double() @ weight.double().t()
    compare(function, given, implementation, scale=float(logits.abs().max()) if len(logits) else 0.0)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
@settings(max_examples=10, derandomize=True)
@given(
    rows=st.sampled_from((0, 1, 3, 17, 33)),
    width=st.sampled_from((1, 5, 32, 41)),
    vocabulary=st.sampled_from((1, 3, 128, 300)),
    dtype=st.sampled_from(FLOATS),
    count=st.sampled_from((1, 3)),
    function=st.sampled_from((by_weight, by_layer)),
)
def test_any_shape(implementation, rows, width, vocabulary, dtype, count, function):
    against_float64(inputs(rows, width, vocabulary, dtype, count), implementation, function)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("rows", [20, 150])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("width", [64, 70])
def test_tiles_of_every_gpu(target, rows, dtype, width, monkeypatch):
    """With blocks that the width fills, and with some that it does not."""
    in_triton = pytest.importorskip("evalharness.stack.kernels.linear_scoring.in_triton")
    monkeypatch.setattr(in_triton, "target_of", lambda x: target)
    against_float64(inputs(rows, width, 600, dtype, 2), "triton")


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
def test_of_equally_likely_tokens_the_first_is_greedy(implementation):
    hidden, weight = torch.ones(2, 4, device=DEVICE), torch.zeros(200, 4, device=DEVICE)
    weight[[30, 170]] = 1.0
    with using(implementation):
        for head in (weight, Layer(weight)):
            scored = linear_scoring(hidden, head, torch.tensor([[30, 4], [170, 30]], device=DEVICE))
            assert scored.greedy_RK.tolist() == [[True, False], [False, True]]
            assert scored.entropies_R is None


@pytest.mark.parametrize("function", [by_weight, by_layer])
@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_large_logits_neither_overflow_nor_lose_the_entropy(implementation, function):
    hidden, weight, targets = inputs(5, 16, 200)
    against_float64((hidden * 300, weight, targets), implementation, function)


def test_a_layer_may_say_that_tokens_cannot_be(monkeypatch):
    """Whole blocks of a row too, first and in the middle."""
    in_triton = pytest.importorskip("evalharness.stack.kernels.linear_scoring.in_triton")
    monkeypatch.setattr(in_triton, "BLOCK", 16)
    logits = normal(3, 64, seed=4, gradient=False)
    logits[:, :20] = logits[1:, 32:50] = -torch.inf
    rows, targets = torch.arange(3.0, device=DEVICE)[:, None], torch.tensor([[40, 3], [21, 2], [60, 40]], device=DEVICE)
    with using("reference"):
        expected = linear_scoring(rows, Said(logits), targets, entropies=True)
    for implementation in ("torch", "triton"):
        with using(implementation):
            found = linear_scoring(rows, Said(logits), targets, entropies=True)
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_a_head_of_other_numbers_than_the_hidden_states_loses_none(implementation):
    hidden, weight, targets = inputs(5, 40, 150)
    for of_hidden, of_weight in ((torch.float32, torch.bfloat16), (torch.bfloat16, torch.float32)):
        given = hidden.to(of_hidden), weight.to(of_weight), targets
        with using("reference"):
            expected = linear_scoring(given[0].double(), given[1].double(), targets)
        with using(implementation):
            found = linear_scoring(*given)
        torch.testing.assert_close(found.log_likelihoods_RK.double(), expected.log_likelihoods_RK, atol=1e-5, rtol=0)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_rows_that_do_not_lie_together(implementation):
    hidden, weight, targets = inputs(6, 40, 150)
    against_float64((hidden[::2, :20], weight[:, 20:], targets[::2]), implementation)


@pytest.mark.parametrize("implementation", ["torch", "triton"])
def test_the_logits_of_all_rows_are_never_there(implementation, monkeypatch):
    monkeypatch.setitem(heads.LOGITS_AT_ONCE, DEVICE, 10 * 700)
    hidden, weight, targets = inputs(90, 8, 700)
    with using(implementation), Shapes() as shapes:
        by_weight(hidden, weight, targets)
    assert max(torch.Size(shape).numel() for shape in shapes.seen if 700 in shape) <= 10 * 700
    assert shapes.largest < 90 * 700 / 2
