"""What is taken out of documents, and what stands for it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evalharness.stack.training.denoising import DenoiserOptions, corrupted, noise_mask
from evalharness.stack.training.examples import Example

SENTINELS = np.arange(1000, 1100)
T5 = DenoiserOptions(rate=0.15, span=3)


def drawn(length: int, options: DenoiserOptions, seed: int = 0) -> NDArray[np.bool_]:
    return noise_mask(length, options, np.random.Generator(np.random.Philox(seed)))


def spans(mask: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(np.diff(mask.astype(int), prepend=0) == 1))


def restored(example: Example) -> list[int]:
    """The document: each sentinel of the inputs replaced by what follows it in the targets."""
    said: dict[int, list[int]] = {}
    for token in example.targets_O.tolist():
        if token in SENTINELS:
            said[token] = []
        else:
            said[max(said)].append(token)
    return [part for token in example.inputs_I.tolist() for part in said.get(token, [token])]


def test_the_example_of_the_paper() -> None:
    """Figure 2: "Thank you for inviting me to your party last week", without "for inviting" and "last"."""
    words = np.arange(1, 11)
    noise = np.isin(words, [3, 4, 9])
    example = corrupted(words, noise, SENTINELS)
    assert example.inputs_I.tolist() == [1, 2, 1000, 5, 6, 7, 8, 1001, 10]
    # Our targets have no sentinel behind the last span, nor have those of T5's own code.
    assert example.targets_O.tolist() == [1000, 3, 4, 1001, 9]
    assert example.inputs_I.dtype == example.targets_O.dtype == np.int64


def test_sizes_of_t5() -> None:
    """T5's `random_spans_helper`: of 568 tokens 512 are given and 114 said, the end of a text in both included."""
    assert T5.sizes(568) == (511, 113)
    assert T5.noise(568) == (85, 28)


@pytest.mark.parametrize(("length", "noise"), [(1, (0, 0)), (2, (1, 1)), (10, (2, 1)), (30, (4, 1)), (31, (5, 2))])
def test_noise_of_short_documents(length: int, noise: tuple[int, int]) -> None:
    """Known of T5's masks: of up to 30 tokens the last ones are taken out, always; of 31 two spans."""
    assert T5.noise(length) == noise
    mask = drawn(length, T5)
    assert (int(mask.sum()), spans(mask)) == noise
    if noise[1] < 2:
        assert mask.tolist() == [False] * (length - noise[0]) + [True] * noise[0]


def test_a_prefix_has_no_sentinels() -> None:
    sequential = DenoiserOptions(rate=0.25)
    assert sequential.noise(8) == (2, 0)
    assert drawn(8, sequential).tolist() == [False] * 6 + [True] * 2
    example = corrupted(np.arange(8), drawn(8, sequential), ())
    assert (example.inputs_I.tolist(), example.targets_O.tolist()) == ([0, 1, 2, 3, 4, 5], [6, 7])


def test_a_mode_is_one_token_more() -> None:
    assert DenoiserOptions(rate=0.5, span=2, mode="[X]").sizes(8) == (4 + 2 + 1, 4 + 2)


def test_all_masks_are_equally_likely() -> None:
    """Of 8 tokens 4 in 2 spans: 3 ways to cut what is kept, and 3 to cut what is taken out."""
    options = DenoiserOptions(rate=0.5, span=2)
    random = np.random.Generator(np.random.Philox(1))
    counts = Counter(tuple(noise_mask(8, options, random).tolist()) for _ in range(3_600))
    assert len(counts) == 9
    # Four deviations of a binomial with a ninth.
    assert all(abs(count - 400) < 4 * (3600 / 9 * 8 / 9) ** 0.5 for count in counts.values())


@settings(max_examples=50)
@given(st.integers(0, 300), st.floats(0.01, 0.99), st.floats(1, 80), st.integers(0, 99))
def test_the_document_is_what_inputs_and_targets_make(length: int, rate: float, span: float, seed: int) -> None:
    options = DenoiserOptions(rate=rate, span=span)
    tokens = np.random.Generator(np.random.Philox(seed)).integers(0, 1000, length).astype(np.uint16)
    mask = drawn(length, options, seed)
    example = corrupted(tokens, mask, np.arange(1000, 1400))
    said: dict[int, list[int]] = {}
    for token in example.targets_O.tolist():
        if token >= 1000:
            said[token] = []
        else:
            said[max(said)].append(token)
    assert [part for token in example.inputs_I.tolist() for part in said.get(token, [token])] == tokens.tolist()
    assert list(said) == list(range(1000, 1000 + len(said)))
    assert (len(example.inputs_I), len(example.targets_O)) == options.sizes(length)
    assert (int(mask.sum()), spans(mask)) == options.noise(length)
    if length > 1:
        assert mask[-1]
        assert not mask[0]


@given(st.floats(0.01, 0.99), st.one_of(st.none(), st.floats(1, 80)))
def test_longer_documents_never_become_shorter(rate: float, span: float | None) -> None:
    options = DenoiserOptions(rate=rate, span=span)
    sizes = np.array([options.sizes(length) for length in range(200)])
    assert (np.diff(sizes, axis=0) >= 0).all()
    assert (sizes.sum(axis=1) >= np.arange(200)).all()


@pytest.mark.parametrize(("rate", "span"), [(0.15, 3.0), (0.15, 8.0), (0.5, 3.0), (0.5, 64.0)])
def test_rate_and_span_are_those_asked_for(rate: float, span: float) -> None:
    options = DenoiserOptions(rate=rate, span=span)
    masks = [drawn(512, options, seed) for seed in range(100)]
    assert np.mean([mask.mean() for mask in masks]) == pytest.approx(rate, abs=0.001)
    # The number of spans is rounded.
    assert sum(mask.sum() for mask in masks) / sum(map(spans, masks)) == pytest.approx(span, rel=0.04)
    # Far from both ends a token is taken out as often as any.
    often = np.mean(masks, axis=0)[100:400].mean()
    assert often == pytest.approx(rate, abs=0.05)


def test_a_golden_mask() -> None:
    """A release that draws otherwise would not resume what an earlier one began."""
    assert np.flatnonzero(drawn(60, T5, 5)).tolist() == [7, 8, 34, 35, 36, 37, 38, 58, 59]
