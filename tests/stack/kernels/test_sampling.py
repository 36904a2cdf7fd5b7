"""sample: every implementation draws what the definitions say, but for points that rounding may move."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import DEVICE, FLOATS, normal

from evalharness.stack.kernels.op import using
from evalharness.stack.kernels.sampling import in_torch, sample
from evalharness.stack.kernels.sampling.reference import kept

RULES = (torch.float32, torch.int32, torch.float64, torch.float32)
"""Dtypes of temperatures, top-k, top-p and min-p."""


def of_all(count, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    """The values of `count` rows, all alike."""
    values = zip((temperature, top_k, top_p, min_p), RULES, strict=True)
    return tuple(torch.full((count,), value, dtype=dtype, device=DEVICE) for value, dtype in values)


def of_each(*rules):
    """The values of each row."""
    columns = zip(zip(*rules, strict=True), RULES, strict=True)
    return tuple(torch.tensor(values, dtype=dtype, device=DEVICE) for values, dtype in columns)


def at(*points):
    return torch.tensor(points, dtype=torch.float64, device=DEVICE)


def check(logits, points, ids, temperature, top_k, top_p, min_p):
    """The drawn token is kept, and the point lies in its share, but for rounding."""
    for logits_V, point, id in zip(logits.double(), points.tolist(), ids.tolist(), strict=True):
        if temperature == 0:
            assert id == int(logits_V.argmax())
            continue
        # Thresholds between two nearly equal sums may fall either way: the share of top-p a little up or down.
        shares = (top_p - 1e-6, top_p, min(top_p + 1e-6, 1.0)) if top_p < 1 else (1.0,)
        either = [kept(logits_V, temperature, top_k, p, min_p) for p in shares]
        assert any(fits(*one, point, id) for one in either), f"token {id} at {point}"


def fits(kept_K, ids_K, point, id):
    places = (ids_K == id).nonzero()[:, 0].tolist()
    if not places:
        return False
    cumulated = kept_K.cumsum(0) / kept_K.sum()
    # Of equally likely tokens any may come first where something cuts.
    equals = (kept_K == kept_K[places[0]]).nonzero()[:, 0].tolist()
    return any(
        float(cumulated[place] - kept_K[place] / kept_K.sum()) - 1e-5 <= point <= float(cumulated[place]) + 1e-5
        for place in equals
    )


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
@settings(max_examples=10, derandomize=True)
@given(
    vocabulary=st.sampled_from((1, 2, 7, 64, 300)),
    dtype=st.sampled_from(FLOATS),
    temperature=st.sampled_from((0.0, 0.3, 1.0, 2.0)),
    top_k=st.sampled_from((0, 1, 5, 1000)),
    top_p=st.sampled_from((0.0, 0.5, 0.9, 1.0)),
    min_p=st.sampled_from((0.0, 0.1)),
    point=st.sampled_from((0.2, 0.9999)),
)
def test_draws_what_the_definitions_say(implementation, vocabulary, dtype, temperature, top_k, top_p, min_p, point):
    points = at(point)
    logits = normal(1, vocabulary, dtype=dtype, seed=vocabulary, gradient=False) * 2
    with using(implementation):
        ids = sample(logits, points, *of_all(1, temperature, top_k, top_p, min_p))
    assert (ids.dtype, ids.shape) == (torch.int64, (1,))
    check(logits, points, ids, temperature, top_k, top_p, min_p)


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
def test_rows_are_drawn_each_by_its_own_values(implementation):
    logits = torch.tensor([[0.0, 3.0, 2.9, -1.0]] * 6, device=DEVICE)
    values = of_each(
        (0.0, 0, 1.0, 0.0), (1.0, 2, 1.0, 0.0), (1.0, 0, 0.6, 0.0), (1.0, 0, 1.0, 0.0), (1.0, 1, 1.0, 0.0),
        (1.0, 0, 1.0, 0.95),
    )  # fmt: skip
    with using(implementation):
        assert sample(logits, at(*[0.999] * 6), *values).tolist() == [1, 2, 2, 3, 1, 1]


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
def test_tokens_come_by_probability_where_something_cuts_and_else_by_id(implementation):
    logits = torch.tensor([0.1, 0.5, 0.15, 0.25], device=DEVICE).log().expand(8, -1)
    points = at(0.05, 0.05, 0.55, 0.55, 0.8, 0.8, 0.95, 0.95)
    values = of_each(*[(1.0, 0, 1.0, 0.0), (1.0, 4, 1.0, 0.0)] * 4)
    with using(implementation):
        assert sample(logits, points, *values).tolist() == [0, 1, 1, 3, 3, 2, 3, 0]


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
def test_of_equally_likely_tokens_no_more_are_kept_than_the_cuts_say(implementation):
    """And what cannot be is never drawn."""
    logits = torch.tensor([[1.0, -torch.inf, 1.0, 1.0, -torch.inf, 1.0, 1.0, 1.0]] * 2, device=DEVICE)
    for values, count in ((of_all(2, 1.0, 2), 2), (of_all(2, 1.0, 0, 0.3), 2), (of_all(2, 1.0, 5, 0.7), 4)):
        with using(implementation):
            ids = sample(logits, at(0.6, 1 - 2**-53), *values).tolist()
        assert ids == [(0, 2, 3, 5)[int(point * count)] for point in (0.6, 0.99)]


def test_all_implementations_draw_alike():
    """But for points that rounding may move, of which there are none here."""
    rules = (
        (0.5, 0, 1.0, 0.0), (1.5, 0, 1.0, 0.0), (1.5, 20, 1.0, 0.0), (1.5, 0, 0.9, 0.0), (1.5, 20, 0.9, 0.0),
        (1.5, 0, 1.0, 0.2), (1.5, 20, 0.9, 0.2), (1.5, 0, 0.0, 0.0),
    )  # fmt: skip
    random = torch.Generator().manual_seed(1)
    logits = (torch.randn(len(rules), 60, generator=random) * 2).to(DEVICE)
    points = torch.rand(len(rules), generator=random, dtype=torch.float64).to(DEVICE)
    drawn = []
    for implementation in ("reference", "torch", "triton"):
        with using(implementation):
            drawn.append(sample(logits, points, *of_each(*rules)).tolist())
    assert drawn[0] == drawn[1] == drawn[2]
    assert len({*drawn[0]}) > 4


def test_blocks_of_a_row_make_one_row(monkeypatch):
    """A draw falls into any of them, equals lie in several."""
    in_triton = pytest.importorskip("evalharness.stack.kernels.sampling.in_triton")
    monkeypatch.setattr(in_triton, "BLOCK", 16)
    logits = torch.randn(1, 30, generator=torch.Generator().manual_seed(2)).round().to(DEVICE)
    points = at(*(number / 3 for number in range(3)))
    for values in ((1.0, 0, 1.0, 0.0), (1.0, 20, 0.9, 0.0)):
        drawn = []
        for implementation in ("reference", "triton"):
            with using(implementation):
                drawn.append(sample(logits.expand(3, -1), points, *of_all(3, *values)).tolist())
        assert drawn[0] == drawn[1]


@settings(max_examples=20, derandomize=True, deadline=None)
@given(
    vocabulary=st.sampled_from((300, 1000)), spread=st.floats(0.1, 6), top_p=st.floats(0, 0.999), rows=st.integers(1, 3)
)
def test_the_likeliest_are_left_out_only_where_they_do_not_suffice(vocabulary, spread, top_p, rows):
    most = 64
    probabilities = (normal(rows, vocabulary, seed=vocabulary, gradient=False) * spread).softmax(-1)
    _, top_k, shares, min_p = of_all(rows, top_p=top_p)
    more = in_torch.ranked(probabilities, top_k, shares, min_p, vocabulary)[0].count_nonzero(1) > most
    if in_torch._surely_more(probabilities, top_k, shares, min_p, most):
        assert more.all()
    assert not in_torch._surely_more(probabilities, top_k + 65, shares, min_p, most)
    assert not in_torch._surely_more(probabilities, top_k, shares, min_p + 0.5, most)


def test_flat_rows_are_drawn_from_all_tokens_at_once(monkeypatch):
    logits, rules = normal(2, 300, gradient=False), of_all(2, top_p=0.9)
    monkeypatch.setattr(in_torch, "LIKELIEST", 64)
    counts = []
    of_ranked = in_torch.ranked
    monkeypatch.setattr(in_torch, "ranked", lambda *given: (counts.append(given[-1]), of_ranked(*given))[1])
    with using("torch"):
        drawn = sample(logits, at(0.3, 0.99), *rules)
        assert counts == [300]
        monkeypatch.setattr(in_torch, "_surely_more", lambda *given: False)
        assert torch.equal(sample(logits, at(0.3, 0.99), *rules), drawn)
    assert counts == [300, 64, 300]


def test_no_rows():
    for implementation in ("reference", "torch", "triton"):
        with using(implementation):
            assert sample(torch.zeros(0, 5, device=DEVICE), at(), *of_all(0)).shape == (0,)
