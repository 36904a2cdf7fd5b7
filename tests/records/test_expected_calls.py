"""Calls beside the expected ones, and what is marked as wrong of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from evidence_for_tests import calls_answer, calls_target, judged
from viewer.made import line

from evalharness.records.expected_calls import Call, Calls, answer_text, calls_of, target_text

TARGET = calls_target(
    {"weather.forecast": {"city": ["Lisbon", "Lisboa"], "days": [3], "unit": ["celsius", ""]}},
    {"convert": {"amount": [5, 5.0], "to": ["EUR"]}},
)
RIGHT = {"weather.forecast": {"city": "Lisbon", "days": 3}, "convert": {"amount": 5, "to": "EUR"}}


def shown(answer: str | None, score: float = 0.0, *, target: str = TARGET, why: str | None = None) -> Calls:
    made = line("a", score, target=target, answer=answer)
    made = judged(made, explanations={"acc": why} if why else None)
    found = calls_of(made, made["repeats"][0])
    assert found is not None
    return found


def faults(found: Calls) -> dict[str, str]:
    """By call, or call and argument."""
    told = {call.name: call.fault for call in found.calls if call.fault}
    return told | {
        f"{call.name}.{each.name}": each.fault for call in found.calls for each in call.arguments if each.fault
    }


def argument(call: Call, name: str) -> tuple[str | None, str | None]:
    (found,) = [each for each in call.arguments if each.name == name]
    return found.given, found.accepted


def test_right_calls_stand_beside_the_expected_ones_unmarked() -> None:
    found = shown(calls_answer(**RIGHT), 1.0)
    forecast, convert = found.calls
    assert argument(forecast, "city") == ('"Lisbon"', '"Lisbon" or "Lisboa"')
    assert argument(forecast, "unit") == (None, '"celsius" or nothing')
    assert argument(convert, "amount") == ("5", "5 or 5.0")
    assert faults(found) == {}


def test_a_spelling_that_the_metric_took_is_unmarked() -> None:
    assert faults(shown(calls_answer(**{**RIGHT, "convert": {"amount": "5", "to": "eur"}}), 1.0)) == {}
    names = {"weather_forecast": RIGHT["weather.forecast"], "convert": RIGHT["convert"]}
    assert faults(shown(calls_answer(**names), 1.0)) == {}


def test_the_argument_that_the_explanation_places_is_marked() -> None:
    given = {"weather.forecast": {"city": "lisbon", "days": 3}, "convert": {"amount": 6, "to": "eur"}}
    assert faults(shown(calls_answer(**given), why="wrong_value: call 2, argument 'amount': 6 is none of 5")) == {
        "convert.amount": "not accepted"
    }
    assert faults(shown(calls_answer(**given), why="wrong_count: 2 calls are made, where 3 are right")) == {}


def test_without_an_explanation_what_is_literally_otherwise_is_marked() -> None:
    given = {"weather.forecast": {"city": "Porto", "days": True, "unit": "celsius"}, "convert": {"amount": 5.0}}
    assert faults(shown(calls_answer(**given))) == {
        "weather.forecast.city": "not accepted",
        "weather.forecast.days": "not accepted",
        "convert.to": "missing",
    }


def test_what_is_not_expected_or_missing_is_marked_beside_any_explanation() -> None:
    given = {"weather.forecast": {"city": "Porto", "days": 3, "colour": "red"}, "other": {"x": 1}}
    assert faults(shown(calls_answer(**given), why="wrong_name: call 2: 'other' is called, not 'convert'")) == {
        "weather.forecast.colour": "not expected",
        "other": "no such call is expected",
        "convert": "missing",
    }


def test_no_answer_lacks_every_call() -> None:
    assert faults(shown(None)) == {"weather.forecast": "missing", "convert": "missing"}


def test_of_calls_of_one_name_the_nearest_expected_ones_are_beside_them() -> None:
    target = calls_target({"f": {"a": [1], "b": [2]}}, {"f": {"a": [3], "b": [4]}})
    answer = json.dumps([{"name": "f", "arguments": {"a": 3, "b": 5}}, {"name": "f", "arguments": {"a": 1, "b": 2}}])
    first, second = shown(answer, target=target).calls
    assert argument(first, "b") == ("5", "4")
    assert argument(second, "b") == ("2", "2")
    assert [each.fault for each in first.arguments] == ["", "not accepted"]


def test_nested_values_are_compared_by_their_parts() -> None:
    target = calls_target({"f": {"box": [{"low": [1, 2], "high": [3, ""]}], "list": [[1, 2]], "pair": [[1, 2]]}})
    right = {"f": {"box": {"low": 2}, "list": [1, 2], "pair": {"$tuple": [1, 2]}}}
    assert faults(shown(calls_answer(**right), target=target)) == {}
    wrong = {"f": {"box": {"low": 3}, "list": [2, 1], "pair": {"$tuple": [1]}}}
    assert faults(shown(calls_answer(**wrong), target=target)) == {
        f"f.{name}": "not accepted" for name in ("box", "list", "pair")
    }


def test_values_without_a_name_stand_for_any_argument() -> None:
    answer = json.dumps([{"name": "convert", "arguments": {"to": "EUR"}, "positional": [5]}])
    found = shown(answer, target=calls_target({"convert": {"amount": [5], "to": ["EUR"]}}))
    assert argument(found.calls[0], "position 1") == ("5", None)
    assert faults(found) == {}
    assert answer_text(answer) == 'convert(5, to="EUR")'


def test_where_no_call_is_expected_any_is_too_many() -> None:
    found = shown(calls_answer(f={}), target=calls_target())
    assert found.none_expected
    assert faults(found) == {"f": "no such call is expected"}
    assert shown("[]", 1.0, target=calls_target()).calls == ()


def test_calls_without_an_expectation_are_shown_alone() -> None:
    made = line("a", 0.0, target="", answer=calls_answer(f={"x": 1}))
    found = calls_of(made, made["repeats"][0])
    assert found is not None
    assert not found.none_expected
    assert faults(found) == {}


@pytest.mark.parametrize(
    "target", ["7", "{", '{"ground_truth": 3}', '{"truth": []}', "[" * 2000, 3, None, ["a"], '{"a": "ground_truth"}']
)
@pytest.mark.parametrize(
    "answer", ["7", "[1]", "[{}]", '[{"name": "f"}]', '[{"name": "f", "arguments": 3}]', None, "[" * 9000]
)
def test_other_tasks_have_no_calls(target: Any, answer: str | None) -> None:
    made = {**line("a", answer=answer), "target": target}
    assert calls_of(made, made["repeats"][0]) is None
    assert target_text(target) is None
    assert answer_text(answer) == answer


def test_calls_are_written_as_people_write_them() -> None:
    assert answer_text(calls_answer(**RIGHT)) == 'weather.forecast(city="Lisbon", days=3), convert(amount=5, to="EUR")'
    assert target_text(TARGET) == (
        'weather.forecast(city="Lisbon" or "Lisboa", days=3, unit="celsius" or nothing), '
        'convert(amount=5 or 5.0, to="EUR")'
    )
    assert target_text(calls_target()) == "no call"
    assert target_text(calls_target({"f": {"a": [""]}})) == 'f(a="" or nothing)'
