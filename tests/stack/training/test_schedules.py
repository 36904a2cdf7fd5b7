"""Schedules against transformers' own, and what holds for all of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evalharness.stack.errors import TrainingError
from evalharness.stack.training.schedules import (
    BatchOptions,
    ScheduleOptions,
    check_batch,
    rate_factor,
    sequences_at,
    sequences_until,
)

TOTAL, WARMUP, DECAY = 100, 20, 30


def theirs(schedule: str, total: int, warmup: int, **options: Any) -> list[float]:
    """Factors by transformers at each of our steps. Its first step has rate 0: ours is its second of one more."""
    optimization = pytest.importorskip("transformers.optimization")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    made = getattr(optimization, schedule)(optimizer, num_warmup_steps=warmup + 1, **options)
    return [made.lr_lambdas[0](step + 1) for step in range(total)]


def ours(total: int, **options: Any) -> list[float]:
    return [rate_factor(ScheduleOptions(**options), step, total) for step in range(total)]


@pytest.mark.parametrize("warmup", [0, WARMUP, TOTAL])
@pytest.mark.parametrize(
    ("shape", "floor", "schedule", "more"),
    [
        ("cosine", 0.0, "get_cosine_schedule_with_warmup", {}),
        ("cosine", 0.1, "get_cosine_with_min_lr_schedule_with_warmup", {"min_lr_rate": 0.1}),
        ("linear", 0.0, "get_linear_schedule_with_warmup", {}),
    ],
)
def test_falling_shapes_are_transformers_own(
    shape: str, floor: float, schedule: str, more: dict[str, float], warmup: int
) -> None:
    expected = theirs(schedule, TOTAL, warmup, num_training_steps=TOTAL + 1, **more)
    assert ours(TOTAL, shape=shape, warmup=warmup, floor=floor) == pytest.approx(expected, abs=1e-12)


def test_constant_is_transformers_own() -> None:
    expected = theirs("get_constant_schedule_with_warmup", TOTAL, WARMUP)
    assert ours(TOTAL, shape="constant", warmup=WARMUP) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("decay", "named"), [("linear", "linear"), ("cosine", "cosine"), ("sqrt", "1-sqrt")])
@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_wsd_is_transformers_own(decay: str, named: str, floor: float) -> None:
    expected = theirs(
        "get_wsd_schedule", TOTAL, WARMUP,
        num_decay_steps=DECAY, num_training_steps=TOTAL + 1, decay_type=named, min_lr_ratio=floor,
    )  # fmt: skip
    got = ours(TOTAL, shape="wsd", warmup=WARMUP, floor=floor, decay_shape=decay, decay_steps=DECAY)
    # Theirs warms up from the floor on, ours from 0 as its other schedules do.
    begin = 0 if floor == 0 else WARMUP
    assert got[begin:] == pytest.approx(expected[begin:], abs=1e-12)
    assert got[WARMUP : TOTAL - DECAY] == [1.0] * (TOTAL - DECAY - WARMUP)
    assert got[TOTAL - DECAY + 1] < 1


def test_a_share_decays_as_so_many_steps_do() -> None:
    assert ours(TOTAL, shape="wsd", decay_share=0.3) == ours(TOTAL, shape="wsd", decay_steps=30)
    assert ours(TOTAL, shape="wsd") == ours(TOTAL, shape="wsd", decay_share=0.2, decay_shape="sqrt")


options = st.builds(
    ScheduleOptions,
    shape=st.sampled_from(["linear", "cosine", "wsd"]),
    warmup=st.integers(0, 40),
    floor=st.floats(0, 1),
)


@given(options, st.integers(60, 200))
def test_rates_rise_to_the_peak_and_fall_to_the_floor(options: ScheduleOptions, total: int) -> None:
    factors = [rate_factor(options, step, total) for step in range(total + 3)]
    assert all(0 < factor <= 1 for factor in factors[:total])
    assert factors[options.warmup] == pytest.approx(1)
    assert all(a < b for a, b in pairwise(factors[: options.warmup + 1]))
    assert all(a >= b for a, b in pairwise(factors[options.warmup :]))
    assert factors[total:] == pytest.approx([options.floor] * 3, abs=1e-15)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"shape": "cosine", "decay_steps": 3}, "decay_steps is for the shape wsd, not for cosine"),
        ({"shape": "constant", "floor": 0.1}, "constant does not"),
        ({"shape": "wsd", "decay_steps": 3, "decay_share": 0.1}, "give one of them"),
        ({"shape": "square"}, "wsd"),
        ({"warm_up": 3}, "warm_up"),
    ],
)
def test_options_that_do_not_go_together(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        ScheduleOptions.model_validate(values)


def test_a_training_shorter_than_warmup_and_decay() -> None:
    with pytest.raises(
        TrainingError, match="20 steps of warmup and 30 of decay do not fit into a training of 49 steps"
    ):
        rate_factor(ScheduleOptions(shape="wsd", warmup=20, decay_steps=30), 0, 49)
    with pytest.raises(TrainingError, match="20 steps of warmup do not fit into a training of 19 steps"):
        rate_factor(ScheduleOptions(warmup=20), 0, 19)


RAMP = BatchOptions.model_validate(
    {"sequences": 8, "micro": 4, "ramp": [{"from_step": 10, "sequences": 16}, {"from_step": 30, "sequences": 64}]}
)


def test_batches_grow_at_their_steps() -> None:
    assert [sequences_at(RAMP, step) for step in (0, 9, 10, 29, 30, 1000)] == [8, 8, 16, 16, 64, 64]


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 100)), max_size=4, unique_by=lambda stage: stage[0]),
       st.integers(0, 70))  # fmt: skip
def test_sequences_add_up_over_the_steps(stages: list[tuple[int, int]], steps: int) -> None:
    ramp = [{"from_step": step, "sequences": sequences} for step, sequences in sorted(stages)]
    options = BatchOptions.model_validate({"sequences": 7, "ramp": ramp})
    assert sequences_until(options, steps) == sum(sequences_at(options, step) for step in range(steps))


@pytest.mark.parametrize(
    ("values", "ranks", "sentence"),
    [
        ({"sequences": 12}, 5, r"12 sequences do not divide by 5 ranks\.$"),
        ({"sequences": 12, "micro": 5}, 1, r"12 sequences do not divide by 1 rank x 5 sequences at once = 5"),
        ({"sequences": 12, "micro": 4}, 2, r"12 sequences do not divide by 2 ranks x 4 sequences at once = 8"),
        ({"sequences": 8, "micro": 4, "ramp": [{"from_step": 3, "sequences": 12}]}, 2, "12 sequences"),
    ],
)
def test_batches_that_do_not_divide(values: dict[str, Any], ranks: int, sentence: str) -> None:
    with pytest.raises(TrainingError, match=sentence):
        check_batch(BatchOptions.model_validate(values), ranks)


def test_batches_that_divide() -> None:
    check_batch(RAMP, 2)
    check_batch(BatchOptions(sequences=12), 3)


def test_a_ramp_goes_forward() -> None:
    stage = {"from_step": 3, "sequences": 8}
    with pytest.raises(ValidationError, match="each from_step comes after the one before"):
        BatchOptions.model_validate({"sequences": 8, "ramp": [stage, stage]})
