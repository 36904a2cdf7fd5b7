"""The metrics of calls, through a scorer."""

from __future__ import annotations

from typing import Any

import pytest
from scoring.function_calls.rows import OSLO, target

from evalharness.answers.base import build_parser
from evalharness.errors import DataError
from evalharness.scoring.apply import Scorer
from evalharness.scoring.base import build_metrics
from evalharness.types import Attempt, Reference, Score

RIGHT = "[weather.forecast(town='Oslo', days=2)]"


def _score(text: str, spec: Any = "function_call", right: Any = None, parser: Any = "function_call") -> Score:
    (metric,) = build_metrics([spec], "metrics")
    scorer = Scorer(build_parser(parser, "answer"), [metric])
    reference = Reference(target=target(OSLO) if right is None else right)
    return scorer.score(Attempt(calls=(), candidates=(text,)), reference).scores[metric.name]


def test_right_wrong_and_none() -> None:
    assert _score(RIGHT) == Score(1.0)
    assert _score("[book(guests=1)]") == Score(
        0.0, explanation="wrong_name: call 1: 'book' is called, not 'weather.forecast'"
    )
    assert _score("Nothing fits.").explanation == "no call: the text holds none in any form"
    assert str(_score("[book(guests=").explanation).startswith("malformed call: ")
    assert _score("[]").explanation == "wrong_count: 0 calls are made, where 1 call is right"


def test_options() -> None:
    text = "[weather_forecast('Oslo', 2)]"
    assert _score(text).value == 0
    assert _score(text, {"metric": "function_call", "names": "dots_as_underscores", "positional": "bind"}).value == 1


@pytest.mark.parametrize(
    ("text", "none", "some"),
    [
        (RIGHT, 0.0, 1.0),
        ("[]", 1.0, 0.0),
        ("None of the functions fits.", 1.0, 0.0),
        ("[weather.forecast(town=", 1.0, 0.0),
    ],
)
def test_no_call_and_any_call(text: str, none: float, some: float) -> None:
    assert _score(text, "no_call").value == none
    assert _score(text, "any_call").value == some


def test_what_no_call_and_any_call_say() -> None:
    assert _score(RIGHT, "no_call").explanation == "called: 'weather.forecast', where no function fits"
    assert _score("[]", "any_call").explanation == "no call: the list of calls is empty"
    assert str(_score("[f(", "any_call").explanation).startswith("malformed call: ")


@pytest.mark.parametrize("metric", ["function_call", "no_call", "any_call"])
def test_another_parser_is_refused(metric: str) -> None:
    with pytest.raises(DataError, match=rf"the metric {metric} reads calls.*parser: function_call"):
        _score(RIGHT, metric, parser="text")


def test_a_target_of_another_task_is_refused() -> None:
    with pytest.raises(DataError, match="does not say what calls are right"):
        _score(RIGHT, right="42")
    with pytest.raises(DataError, match="needs a target that is the JSON"):
        _score(RIGHT, right=("42",))
