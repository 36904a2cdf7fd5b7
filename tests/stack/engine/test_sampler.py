import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalharness.stack.engine import sampler
from evalharness.stack.engine.requests import Sampling
from evalharness.stack.engine.sampler import generator, probabilities, sample


def definition(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Temperature, then the k likeliest, then the fewest that reach p."""
    weights = np.exp((logits - logits.max()) / sampling.temperature)
    order = np.argsort(-logits)
    if sampling.top_k:
        weights[order[sampling.top_k :]] = 0
    weights /= weights.sum()
    total, kept = 0.0, np.zeros(len(logits), dtype=bool)
    for id in order:
        if total < sampling.top_p:
            kept[id] = True
        total += weights[id]
    weights[~kept] = 0
    return weights / weights.sum()


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    temperature=st.floats(0.2, 3.0),
    top_k=st.integers(0, 40),
    top_p=st.floats(0.05, 1.0),
    likeliest=st.sampled_from([3, 1024]),
)
def test_probabilities_equal_the_definition(seed, temperature, top_k, top_p, likeliest):
    logits = np.random.default_rng(seed).normal(size=30) * 2
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampler, "LIKELIEST", likeliest)
        found = probabilities(torch.tensor(logits), sampling).double().numpy()
    expected = definition(logits, sampling)
    # Where the sum comes within rounding of p, either cut is right.
    if (found > 0).sum() == (expected > 0).sum():
        np.testing.assert_allclose(found, expected, atol=1e-5)
    else:
        assert abs(np.sort(expected)[::-1].cumsum() - 1).min() < 1e-4


def test_draws_follow_the_probabilities():
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0, 0.5], dtype=torch.float64)
    sampling = Sampling(temperature=1.3, top_k=4)
    expected = definition(logits.numpy(), sampling)
    random = generator(7, 0)
    counts = np.bincount([sample(logits, sampling, random) for _ in range(4000)], minlength=5)
    assert counts[2] == 0
    kept = expected > 0
    assert stats.chisquare(counts[kept], 4000 * expected[kept]).pvalue > 0.001


def test_a_stream_depends_on_seed_and_number_only():
    draws = {(s, n): torch.rand(4, generator=generator(s, n)).tolist() for s in (0, 1) for n in (0, 1)}
    assert draws[0, 1] == torch.rand(4, generator=generator(0, 1)).tolist()
    assert len({tuple(draw) for draw in draws.values()}) == 4


def test_temperature_0_takes_the_likeliest():
    assert sample(torch.tensor([0.1, 3.0, 2.9]), Sampling(), generator(0, 0)) == 1
