import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalharness.stack.engine.requests import Sampling
from evalharness.stack.engine.sampler import adjust, draw, generator
from evalharness.stack.kernels.op import using
from evalharness.stack.kernels.sampling import in_torch
from evalharness.stack.kernels.sampling.in_torch import ranked, sample


class Drawing:
    """A text with a history."""

    def __init__(self, sampling, prompt=(), ids=(), seed=0):
        self.sampling = sampling
        self.prompt, self.ids = prompt, ids
        self.random = generator(seed, 0)
        self.constraint = None


def definition(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Temperature, the k likeliest, the fewest that reach p, those of at least a share of the likeliest."""
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
    weights[~kept | (weights < sampling.min_p * weights.max())] = 0
    return weights / weights.sum()


def cuts(samplings):
    """As tensors, a row each."""
    return (
        torch.tensor([sampling.top_k for sampling in samplings], dtype=torch.int32),
        torch.tensor([sampling.top_p for sampling in samplings], dtype=torch.float64),
        torch.tensor([sampling.min_p for sampling in samplings]),
    )


def drawn_at(logits, samplings, points):
    temperatures = torch.tensor([sampling.temperature for sampling in samplings])
    return sample(logits, points, temperatures, *cuts(samplings)).tolist()


def probabilities(logits, sampling, most):
    """What is drawn from, by token."""
    whole = (torch.tensor(logits).float() / sampling.temperature).softmax(0)
    weights, ids = ranked(whole[None], *cuts([sampling]), most)
    found = np.zeros(len(logits))
    found[ids[0].numpy()] = weights[0].double().numpy()
    return found / found.sum()


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    temperature=st.floats(0.2, 3.0),
    top_k=st.integers(0, 40),
    top_p=st.floats(0.05, 1.0),
    min_p=st.sampled_from([0.0, 0.02, 0.3]),
)
def test_probabilities_equal_the_definition(seed, temperature, top_k, top_p, min_p):
    logits = np.random.default_rng(seed).normal(size=30) * 2
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    found = probabilities(logits, sampling, 30)
    expected = definition(logits, sampling)
    # Where the sum comes within rounding of p, either cut is right.
    if (found > 0).sum() == (expected > 0).sum():
        np.testing.assert_allclose(found, expected, atol=1e-5)
    else:
        whole = definition(logits, Sampling(temperature=temperature, top_k=top_k))
        assert abs(np.sort(whole)[::-1].cumsum() - top_p).min() < 1e-4


SAMPLERS = [
    Sampling(temperature=1.0),
    Sampling(temperature=0.6),
    Sampling(temperature=1.3, top_k=4),
    Sampling(temperature=1.0, top_p=0.8),
    Sampling(temperature=1.0, top_p=0.999),
    Sampling(temperature=1.5, min_p=0.2),
    Sampling(temperature=1.5, top_k=7, top_p=0.9, min_p=0.05),
]


@pytest.mark.parametrize("likeliest", [3, 1024])
@pytest.mark.parametrize("number", range(len(SAMPLERS)))
def test_draws_follow_the_definition(number, likeliest, monkeypatch):
    """Chi-square over 20,000 draws, rows of other requests beside them."""
    monkeypatch.setattr(in_torch, "LIKELIEST", likeliest)
    logits = torch.tensor(np.random.default_rng(number).normal(size=12))
    sampling, random = SAMPLERS[number], generator(7, 0)
    neighbours = [other for other in SAMPLERS if other is not sampling]
    rows = torch.stack([logits, *(-logits for _ in neighbours)]).expand(2000, -1, -1)
    points = torch.rand(20_000, generator=random, dtype=torch.float64)
    drawn = [drawn_at(rows[at % 2000], [sampling, *neighbours], points[[at] * 7])[0] for at in range(4000)]
    drawn += drawn_at(logits.expand(16_000, -1), [sampling] * 16_000, points[4000:])
    expected = definition(logits.numpy(), sampling)
    kept = expected > 0
    counts = np.bincount(drawn, minlength=12)
    assert counts[~kept].sum() == 0
    assert stats.chisquare(counts[kept], 20_000 * expected[kept]).pvalue > 0.001


def test_a_row_is_drawn_alike_whatever_is_beside_it():
    logits = torch.randn(40, 5000, generator=torch.Generator().manual_seed(1)) * 2
    samplings = [SAMPLERS[row % len(SAMPLERS)] for row in range(40)]

    def texts():
        return [Drawing(sampling, seed=row) for row, sampling in enumerate(samplings)]

    together = draw(logits, texts())
    assert together == [draw(logits[row : row + 1], [text])[0] for row, text in enumerate(texts())]


DRAWN = [
    183, 20, 131, 176, 63, 31, 64, 116, 63, 118, 130, 17, 18, 181, 150, 29, 27, 33, 77, 164, 70, 192, 21, 136, 137, 135,
    53, 13, 160, 44, 72, 136, 31, 146, 42, 63, 43, 60, 31, 172,
]  # fmt: skip


def test_seeds_draw_what_they_always_drew():
    """Texts of earlier runs come again, whichever implementation draws."""
    logits = torch.randn(40, 200, generator=torch.Generator().manual_seed(3)) * 2
    texts = [Drawing(SAMPLERS[row % len(SAMPLERS)], seed=row) for row in range(40)]
    assert draw(logits, texts) == DRAWN
    with using("torch,sampling=triton"):
        again = [Drawing(SAMPLERS[row], seed=row) for row in range(len(SAMPLERS))]
        assert draw(logits[: len(again)], again) == DRAWN[: len(again)]


def test_penalties_equal_those_of_transformers():
    processors = pytest.importorskip("transformers.generation.logits_process")
    prompt, ids = [3, 8, 8, 11], [2, 8, 2, 2]
    logits = torch.randn(12, generator=torch.Generator().manual_seed(2)) * 3
    found = logits.clone()
    adjust(found, Drawing(Sampling(repetition_penalty=1.3), prompt, ids))
    theirs = processors.RepetitionPenaltyLogitsProcessor(1.3)(torch.tensor([prompt + ids]), logits.clone()[None])[0]
    torch.testing.assert_close(found, theirs)


def test_presence_and_frequency_count_what_was_drawn_and_bias_is_added():
    logits = torch.zeros(6)
    sampling = Sampling(presence_penalty=0.5, frequency_penalty=0.25, logit_bias=((4, 2.0), (1, -1.0)))
    adjust(logits, Drawing(sampling, prompt=[0, 1], ids=[2, 3, 2, 2]))
    assert logits.tolist() == [0, -1, -1.25, -0.75, 2, 0]


def test_what_changes_logits_leaves_other_rows_and_the_logits_alone():
    logits = torch.tensor([[0.0, 1.0, 0.9], [0.0, 1.0, 0.9]])
    before = logits.clone()
    assert draw(logits, [Drawing(Sampling(logit_bias=((2, 1.0),))), Drawing(Sampling())]) == [2, 1]
    assert torch.equal(logits, before)


def test_a_stream_depends_on_seed_and_number_only():
    draws = {(s, n): torch.rand(4, generator=generator(s, n)).tolist() for s in (0, 1) for n in (0, 1)}
    assert draws[0, 1] == torch.rand(4, generator=generator(0, 1)).tolist()
    assert len({tuple(draw) for draw in draws.values()}) == 4


def test_temperature_0_takes_the_likeliest():
    assert draw(torch.tensor([[0.1, 3.0, 2.9]]), [Drawing(Sampling())]) == [1]
