"""Which call is wrong, and why; and that order never matters."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring.function_calls.rows import BERGEN, BOOK, FORECAST, OSLO, TABLE, document, target

from evalharness.answers.function_calls.calls import FunctionCall
from evalharness.answers.function_calls.python_syntax import read_python
from evalharness.prompting.function_filters import right_calls as written_right_calls
from evalharness.scoring.function_calls.check import Rules, problem_of
from evalharness.scoring.function_calls.reference import right_calls


def _said(text: str, *truth: dict[str, Any], rules: Rules = Rules()) -> str | None:  # noqa: B008 (frozen)
    problem = problem_of(read_python(text), right_calls(target(*truth)), rules)
    return None if problem is None else str(problem)


@pytest.mark.parametrize(
    "text",
    [
        "[weather.forecast(town='Oslo', days=2)]",
        "[weather.forecast(days=2, town='oslo', unit='Celsius')]",
        "[weather.forecast(town='Oslo', days=2, unit='')]",
        "[weather.forecast('ignored', town='Oslo', days=2)]",
    ],
)
def test_right_calls(text: str) -> None:
    assert _said(text, OSLO) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "wrong_count: 0 calls are made, where 1 call is right"),
        ("[f(), g()]", "wrong_count: 2 calls are made, where 1 call is right"),
        ("[weather(town='Oslo', days=2)]",
         "wrong_name: call 1: 'weather' is called, which is none of the functions given, not 'weather.forecast'"),
        ("[book(guests=4)]", "wrong_name: call 1: 'book' is called, not 'weather.forecast'"),
        ("[weather.forecast(town='Oslo')]", "missing_argument: call 1, argument 'days': it is required and missing"),
        ("[weather.forecast(town='Oslo', days=2, hour=1)]",
         "unknown_argument: call 1, argument 'hour': 'weather.forecast' has no such argument"),
        ("[weather.forecast(town='Oslo', days='2')]",
         'wrong_type: call 1, argument \'days\': "2" is of the type str, not integer'),
        ("[weather.forecast(town='Oslo', days=2, unit='celcius')]",
         'wrong_value: call 1, argument \'unit\': "celcius" is not "celsius"'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_one_call(text: str, sentence: str) -> None:
    assert _said(text, OSLO) == sentence


def test_a_declared_argument_that_the_right_call_does_not_have() -> None:
    assert _said("[book(guests=4)]", {"book": {"guests": [4]}}) is None
    assert _said("[book(guests=4, outside=True)]", {"book": {"guests": [4]}}) == (
        "unknown_argument: call 1, argument 'outside': it must not be given"
    )


def test_an_argument_that_must_not_be_left_out() -> None:
    assert _said("[book(guests=4)]", {"book": {"guests": [4], "outside": [True]}}) == (
        "missing_argument: call 1, argument 'outside': it is missing, and must not be left out"
    )


def test_of_several_calls_the_nearest_to_the_unmet_one_is_blamed() -> None:
    said = "[book(guests=4), weather.forecast(town='Bergen', days=3), weather.forecast(town='Oslo', days=2)]"
    assert _said(said, OSLO, BERGEN, TABLE) == "wrong_value: call 2, argument 'days': 3 is not 2"
    said = "[weather.forecast(town='Oslo', days=2), weather.forecast(town='Oslo', days=2)]"
    assert str(_said(said, OSLO, BERGEN)).startswith("wrong_value: call 2, argument 'town': \"Oslo\" is none of")


def test_a_call_that_fits_two_right_ones_leaves_the_other_its_own() -> None:
    """BFCL gives the first right call the first made one that fits, and then finds none for the second."""
    anywhere = {"weather.forecast": {"town": ["Oslo", "Bergen"], "days": [2], "unit": [""]}}
    said = "[weather.forecast(town='Oslo', days=2), weather.forecast(town='Bergen', days=2)]"
    assert _said(said, anywhere, OSLO) is None
    assert _said(said, OSLO, anywhere) is None


@pytest.mark.parametrize(
    ("positional", "text", "sentence"),
    [
        ("bind", "[weather.forecast('Oslo', 2)]", None),
        ("bind", "[weather.forecast('Oslo', 2, unit='celsius')]", None),
        ("bind", "[weather.forecast(2, 'Oslo')]",
         "wrong_type: call 1, argument 'town': 2 is of the type int, not string"),
        ("bind", "[weather.forecast('Oslo', town='Oslo', days=2)]",
         "positional_argument: call 1, argument 'town': it is given by position and by name"),
        ("bind", "[weather.forecast(1, 2, 3, 4)]",
         "unknown_argument: call 1: 4 arguments are given by position, and 'weather.forecast' has 3"),
        ("refuse", "[weather.forecast('Oslo', days=2)]",
         'positional_argument: call 1: "Oslo" is given without the name of its argument'),
        ("bfcl", "[weather.forecast('Oslo', days=2)]",
         "missing_argument: call 1, argument 'town': it is required and missing"),
    ],
)  # fmt: skip
def test_arguments_by_position(positional: Any, text: str, sentence: str | None) -> None:
    assert _said(text, OSLO, rules=Rules(positional=positional)) == sentence


def test_java_and_javascript_refuse_arguments_by_position() -> None:
    truth = right_calls(
        json.dumps({"functions": [document("f", [], a="integer")], "ground_truth": [{"f": {"a": ["", 1]}}]})
    )
    for language in ("java", "javascript"):
        problem = problem_of([FunctionCall("f", {}, ("1",))], truth, Rules(language=language))
        assert problem is not None
        assert problem.kind == "positional_argument"


def test_names_without_dots() -> None:
    rules = Rules(names="dots_as_underscores")
    assert _said("[weather_forecast(town='Oslo', days=2)]", OSLO, rules=rules) is None
    assert str(_said("[weather.forecast(town='Oslo', days=2)]", OSLO, rules=rules)).startswith("wrong_name: call 1")


# --------------------------------------------------------------------------- whatever the calls

TOWNS = st.lists(st.sampled_from(["Oslo", "Bergen", "Lund"]), min_size=1, max_size=2, unique=True)
TRUTHS = st.lists(
    st.one_of(
        st.builds(
            lambda towns, days: {"weather.forecast": {"town": towns, "days": days, "unit": ["celsius", ""]}},
            TOWNS,
            st.lists(st.integers(1, 2), min_size=1, max_size=2, unique=True),
        ),
        st.builds(lambda guests: {"book": {"guests": [guests], "outside": ["", False]}}, st.integers(1, 2)),
    ),
    min_size=1,
    max_size=4,
)
CALLS = st.lists(
    st.one_of(
        st.builds(
            lambda town, days: FunctionCall("weather.forecast", {"town": town, "days": days}),
            st.sampled_from(["Oslo", "Bergen", "Lund"]),
            st.integers(1, 2),
        ),
        st.builds(lambda guests: FunctionCall("book", {"guests": guests}), st.integers(1, 2)),
    ),
    max_size=4,
)


@given(TRUTHS, CALLS, st.randoms(use_true_random=False))
def test_the_order_of_calls_never_matters(truths: list[Any], calls: list[FunctionCall], draw: random.Random) -> None:
    right = problem_of(calls, right_calls(target(*truths)), Rules()) is None
    shuffled = draw.sample(calls, len(calls))
    assert (problem_of(shuffled, right_calls(target(*truths)), Rules()) is None) == right
    assert (problem_of(calls, right_calls(target(*draw.sample(truths, len(truths)))), Rules()) is None) == right


@given(TRUTHS)
def test_a_right_answer_is_right(truths: list[Any]) -> None:
    calls = read_python(written_right_calls(truths, [FORECAST, BOOK]))
    assert problem_of(calls, right_calls(target(*truths)), Rules()) is None


@given(TRUTHS, CALLS)
def test_one_call_too_many_or_too_few_is_wrong(truths: list[Any], calls: list[FunctionCall]) -> None:
    problem = problem_of(calls, right_calls(target(*truths)), Rules())
    if len(calls) != len(truths):
        assert problem is not None
        assert problem.kind == "wrong_count"
    elif problem is None:
        for number in range(len(calls)):
            fewer = calls[:number] + calls[number + 1 :]
            assert problem_of(fewer, right_calls(target(*truths)), Rules()) is not None
