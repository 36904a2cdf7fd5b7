"""Tasks over scale: which metrics jump, how much, and where a jump is only a lack of samples."""

from __future__ import annotations

import math

import pytest

from evalharness.scaling.points import ScalingPoint, TaskScore
from evalharness.scaling.task_curves import emergence_score, kind_of, task_curves

LENGTH = 5
"""Tokens of an answer."""


def scored(place: int, samples: int = 100) -> ScalingPoint:
    """A token's loss falls in a line; an answer is right where all its tokens are."""
    loss = 3.0 - 0.35 * place
    right = round(samples * math.exp(-loss) ** LENGTH) / samples
    return ScalingPoint(
        name=f"run-{place}",
        parameters=10.0**place,
        tokens=1e6,
        compute=6e6 * 10.0**place,
        loss=loss,
        scores={
            ("words", "greedy_match"): TaskScore(right, samples=samples),
            ("words", "bits_per_byte"): TaskScore(loss, samples=samples),
        },
    )


def test_the_same_answers_jump_under_one_metric_and_not_under_the_other() -> None:
    (task,) = task_curves([scored(place) for place in reversed(range(1, 9))])
    assert task.task == "words"
    assert task.both
    sharp, smooth = task.curves
    assert (sharp.metric, sharp.kind, smooth.metric, smooth.kind) == (
        "greedy_match",
        "sharp",
        "bits_per_byte",
        "smooth",
    )
    assert [point.name for point, _ in sharp.runs] == [f"run-{place}" for place in range(1, 9)]
    assert sharp.emergence is not None
    assert smooth.emergence is not None
    assert sharp.emergence > 5 * abs(smooth.emergence)
    assert smooth.emergence == pytest.approx(-7.0)  # seven equal steps downwards


def test_zeros_are_said_to_be_unresolved() -> None:
    (task,) = task_curves([scored(place) for place in range(1, 9)])
    (note,) = task.curves[0].notes
    assert note.startswith("5 of 8 runs score 0 on 100 samples: a true value of up to 0.03 would often look the same")
    assert task.curves[1].notes == ()


def test_two_runs_are_no_curve() -> None:
    assert task_curves([scored(1), scored(2)]) == []


def test_emergence_score() -> None:
    assert emergence_score([0.0, 0.1, 0.2, 0.3]) == pytest.approx(3.0)
    assert emergence_score([0.3, 0.2, 0.1, 0.0]) == pytest.approx(-3.0)
    assert emergence_score([0.0, 0.0, 0.0, 0.9]) == math.inf
    assert emergence_score([0.5, 0.5, 0.5]) == 0.0


def test_kinds() -> None:
    assert (kind_of("exact_match"), kind_of("perplexity"), kind_of("a label of mine")) == ("sharp", "smooth", "other")
