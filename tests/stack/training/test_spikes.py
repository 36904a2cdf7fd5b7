"""Planted spikes are found, noise is not, and a detector goes on from its state."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from evalharness.stack.training.spikes import Spike, SpikeDetector, SpikeOptions

STEPS, PLANTED = 1200, 800
SEEDS = range(16)


def curve(seed: int, *, white: float = 0.05, pink: float = 0.05) -> NDArray[np.float64]:
    """A loss that falls from 9 to about 2.9, with white noise and noise whose power falls with the frequency (1/f)."""
    random = np.random.default_rng(seed)
    frequencies = np.fft.rfftfreq(2 * STEPS)
    frequencies[0] = frequencies[1]
    spectrum = random.normal(size=STEPS + 1) + 1j * random.normal(size=STEPS + 1)
    slow = np.fft.irfft(spectrum / np.sqrt(frequencies))[:STEPS]
    steps = np.arange(STEPS)
    falling = 2.5 + 6.5 * (1 + steps / 30) ** -0.7
    made: NDArray[np.float64] = falling + white * random.normal(size=STEPS) + pink * slow / slow.std()
    return made


def risen(seed: int, height: float, over: int) -> NDArray[np.float64]:
    """The same with a rise after `PLANTED`, complete after so many steps."""
    return curve(seed) + height * np.clip((np.arange(STEPS) - PLANTED) / over, 0, 1)


def watched(losses: NDArray[np.float64], norms: NDArray[np.float64] | None = None, **options: float) -> Spike | None:
    detector = SpikeDetector(SpikeOptions.model_validate(options))
    for step, loss in enumerate(losses):
        found = detector.observe(step, float(loss), 1.0 if norms is None else float(norms[step]))
        if found:
            return found
    return None


@pytest.mark.parametrize(("white", "pink"), [(0.05, 0.05), (0.2, 0.1), (0.02, 0.15)])
def test_noise_is_no_spike(white: float, pink: float) -> None:
    """By the deviations alone, without a least rise."""
    assert [watched(curve(seed, white=white, pink=pink), rise=0) for seed in SEEDS] == [None] * len(SEEDS)


@pytest.mark.parametrize(("over", "within", "late"), [(1, 3, 1), (5, 8, 4), (50, 100, 20)])
def test_a_rise_is_found_and_where_it_began(over: int, within: int, late: int) -> None:
    for seed in SEEDS:
        found = watched(risen(seed, 1.0, over))
        assert found is not None
        assert PLANTED < found.step <= PLANTED + within
        assert PLANTED - 5 <= found.since <= PLANTED + late


def test_a_slow_rise_is_found_before_it_is_complete() -> None:
    """Over 400 steps the loss is never far above the steps just before."""
    for seed in SEEDS:
        found = watched(risen(seed, 1.0, 400))
        assert found is not None
        assert "the median loss has risen to" in found.reason
        assert PLANTED < found.step < PLANTED + 400
        # Where a rise begins is hidden in the noise for as long as it takes to leave it.
        assert PLANTED - 64 <= found.since <= PLANTED + 100


def test_a_spike_of_one_step_is_none_unless_asked() -> None:
    losses = curve(0)
    losses[PLANTED] += 3
    assert watched(losses) is None
    found = watched(losses, patience=1)
    assert found is not None
    assert (found.step, found.since) == (PLANTED, PLANTED)
    losses[PLANTED + 1 : PLANTED + 3] += 3
    found = watched(losses)
    assert found is not None
    assert (found.step, found.since) == (PLANTED + 2, PLANTED)


def test_a_loss_that_jumps_up_and_down_is_found() -> None:
    """Never three steps on end, yet two of three."""
    losses = curve(1)
    losses[PLANTED:][np.arange(STEPS - PLANTED) % 3 != 0] += 1
    found = watched(losses)
    assert found is not None
    assert found.step <= PLANTED + 128


def test_a_small_rise_is_none_however_still_the_loss_was() -> None:
    losses = np.full(STEPS, 2.0)
    losses[PLANTED:] = 2.19
    assert watched(losses) is None
    losses[PLANTED:] = 2.21
    found = watched(losses)
    assert found is not None
    assert found.reason == "the loss 2.21 is far above 2, the median of 128 steps before"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_a_spike_at_once(value: float) -> None:
    detector = SpikeDetector(SpikeOptions())
    assert detector.observe(0, 9.0, 1.0) is None
    assert detector.observe(1, value, 1.0) == Spike(1, 1, f"the loss is {value}")
    assert detector.observe(1, 9.0, value) == Spike(1, 1, f"the gradient's norm is {value}")
    assert not any(map(math.isinf, detector.to_json()["losses"]))


def test_nothing_is_looked_for_in_the_first_steps() -> None:
    losses = np.full(400, 2.0)
    losses[150:160] = 9.0
    assert watched(losses) is None
    assert watched(losses, warmup=140) is not None
    assert watched(losses, warmup=0, window=160) is None


def test_gradients_are_watched_where_asked() -> None:
    random = np.random.default_rng(5)
    norms = np.exp(0.3 * random.normal(size=STEPS))
    losses = curve(2)
    assert watched(losses, norms, gradient_threshold=6.0) is None
    norms[PLANTED : PLANTED + 3] *= 50
    assert watched(losses, norms) is None
    found = watched(losses, norms, gradient_threshold=6.0)
    assert found is not None
    assert (found.step, found.since) == (PLANTED + 2, PLANTED)
    assert "the gradient's norm" in found.reason


@pytest.mark.parametrize("stop", [0, 100, 700, PLANTED + 1, PLANTED + 20])
def test_a_detector_goes_on_from_its_state(stop: int) -> None:
    losses = risen(3, 1.0, 50)
    options = SpikeOptions()
    straight, before = SpikeDetector(options), SpikeDetector(options)
    for step in range(stop):
        assert straight.observe(step, losses[step], 1.0) == before.observe(step, losses[step], 1.0)
    after = SpikeDetector.from_json(options, json.loads(json.dumps(before.to_json())))
    for step in range(stop, STEPS):
        assert straight.observe(step, losses[step], 1.0) == after.observe(step, losses[step], 1.0)
    assert straight.to_json() == after.to_json()


def test_a_detector_goes_on_with_another_window() -> None:
    detector = SpikeDetector(SpikeOptions())
    for step in range(300):
        detector.observe(step, 2.0, 1.0)
    shorter = SpikeDetector.from_json(SpikeOptions(window=16), detector.to_json())
    assert [shorter.observe(step, 9.0, 1.0) is not None for step in range(300, 303)] == [False, False, True]
