"""Draws follow the weights and the schedule, repeat by seed, and go on from a cursor exactly."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from evalharness.stack.corpus.mixtures import Cursor, Draw, Mixture
from evalharness.stack.corpus.options import MixtureOptions
from evalharness.stack.errors import CorpusError

SIZES = {"books": 100, "code": 30, "web": 1000}


def mixture(total: int, schedule: list[dict[str, Any]], **options: Any) -> Mixture:
    return Mixture(SIZES, MixtureOptions.model_validate({"schedule": schedule, **options}), total)


def draws(mixture: Mixture, cursor: Cursor | None = None) -> list[Draw]:
    return [draw for draw, _ in mixture.draws(cursor)]


EVEN = [{"at": 0, "weights": {"books": 2, "code": 1, "web": 7}}]


def test_sources_are_drawn_by_their_weights() -> None:
    counts = Counter(draw.source for draw in draws(mixture(10_000, EVEN)))
    # Four standard deviations of a binomial draw are 160 or less.
    assert abs(counts["books"] - 2000) < 160
    assert abs(counts["code"] - 1000) < 160


def test_each_epoch_takes_every_sequence_once_in_an_order_of_its_own() -> None:
    taken = [draw for draw in draws(mixture(2000, EVEN)) if draw.source == "code"]
    epochs = [[draw.sequence for draw in taken if draw.epoch == epoch] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(30)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert epochs[0] != sorted(epochs[0])


def test_the_seed_decides_and_the_position() -> None:
    assert draws(mixture(500, EVEN)) == draws(mixture(500, EVEN))
    assert draws(mixture(500, EVEN)) != draws(mixture(500, EVEN, seed=1))


@pytest.mark.parametrize("stop", [0, 1, 137, 499, 500])
def test_a_cursor_goes_on_exactly(stop: int) -> None:
    every = list(mixture(500, EVEN, epochs={"code": 1.5}).draws())
    cursor = every[stop - 1][1] if stop else Cursor()
    kept = Cursor.from_json(json.loads(json.dumps(cursor.to_json())))
    assert list(mixture(500, EVEN, epochs={"code": 1.5}).draws(kept)) == every[stop:]


def test_a_schedule_changes_weights_in_steps_or_in_a_line() -> None:
    schedule = [{"at": 0, "weights": {"web": 1}}, {"at": 0.5, "weights": {"web": 1, "books": 3}}]
    steps = mixture(1000, schedule)
    assert steps.weights(0.49) == {"books": 0, "web": 1}
    assert steps.weights(0.5) == {"books": 0.75, "web": 0.25}
    assert {draw.source for draw in draws(steps)[:500]} == {"web"}
    assert abs(sum(draw.source == "books" for draw in draws(steps)[500:]) - 375) < 40
    line = mixture(1000, schedule, change="linear")
    assert line.weights(0.25) == pytest.approx({"books": 0.375, "web": 0.625})
    assert line.weights(0.9) == pytest.approx({"books": 0.75, "web": 0.25})


def test_a_source_is_drawn_through_no_more_often_than_it_may() -> None:
    counts = Counter(draw.source for draw in draws(mixture(3000, EVEN, epochs={"code": 2, "books": 0.5})))
    assert counts["code"] == 60
    assert counts["books"] == 50
    assert counts["web"] == 3000 - 110
    ended = draws(mixture(3000, [{"at": 0, "weights": {"code": 1}}], epochs={"code": 2}))
    assert len(ended) == 60


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        (SIZES, {"schedule": [{"at": 0, "weights": {"boks": 1}}]}, "no source is named 'boks'; there are: books"),
        ({"web": 0}, {"schedule": [{"at": 0, "weights": {"web": 1}}]}, "'web' fills not one sequence"),
    ],
)
def test_what_cannot_be_drawn_is_told(sizes: dict[str, int], options: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        Mixture(sizes, MixtureOptions.model_validate(options), 10)


@pytest.mark.parametrize(
    "schedule",
    [
        [],
        [{"at": 0.1, "weights": {"web": 1}}],
        [{"at": 0, "weights": {"web": 1}}, {"at": 0, "weights": {"web": 1}}],
        [{"at": 0, "weights": {"web": 0}}],
        [{"at": 0, "weights": {"web": -1, "code": 3}}],
    ],
)
def test_a_schedule_that_says_nothing_is_refused(schedule: Any) -> None:
    with pytest.raises(ValueError, match="schedule"):
        MixtureOptions.model_validate({"schedule": schedule})
