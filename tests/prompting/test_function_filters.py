"""Filters for tasks of function calls. That their words are BFCL's is checked in tests/parity/test_bfcl.py."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from evalharness.prompting.function_filters import (
    as_json,
    bfcl_functions,
    bfcl_question,
    bfcl_system_prompt,
    bfcl_tools,
    right_calls,
    right_native_calls,
    signatures,
)

FORECAST: dict[str, Any] = {
    "name": "weather.forecast",
    "description": "Forecast the weather.",
    "parameters": {
        "type": "dict",
        "properties": {
            "town": {"type": "string", "description": "The town."},
            "hours": {"type": "array", "description": "Hours of the day.", "items": {"type": "float"}},
            "place": {
                "type": "dict",
                "description": "Where.",
                "properties": {"height": {"type": "float", "description": "Metres."}},
            },
        },
        "required": ["town"],
    },
}
PUT: dict[str, Any] = {
    "name": "Store.put",
    "description": "Put.",
    "parameters": {
        "type": "dict",
        "properties": {
            "names": {"type": "ArrayList", "description": "Names.", "items": {"type": "String"}},
            "shelf": {"type": "any", "description": "Shelf."},
            "count": {"type": "integer", "description": "Count."},
        },
        "required": ["names"],
    },
}
USER = [{"role": "user", "content": "Oslo?"}]
BOTH = [{"role": "system", "content": "Be brief."}, *USER]


def test_the_system_prompt_ends_with_the_functions() -> None:
    prompt = bfcl_system_prompt([FORECAST], USER)
    head, functions = prompt.split("Here is a list of functions in json format that you can invoke.\n")
    assert head.startswith("You are an expert in composing functions.You are given a question")
    assert functions == json.dumps(bfcl_functions([FORECAST]), indent=4) + "\n"
    assert bfcl_system_prompt([FORECAST], BOTH) == prompt + "\n\nBe brief."


def test_what_the_user_says() -> None:
    assert bfcl_question(USER) == bfcl_question(BOTH) == "Oslo?"
    turns = [*BOTH, {"role": "assistant", "content": "Rain."}, {"role": "user", "content": "Bergen?"}]
    assert bfcl_question(turns) == "Oslo?\n\nRain.\n\nBergen?"


def test_the_documents_of_a_row_stay_as_they_are() -> None:
    before = copy.deepcopy([FORECAST, PUT])
    bfcl_system_prompt([FORECAST], USER)
    bfcl_tools([FORECAST])
    bfcl_functions([PUT], "java")
    assert before == [FORECAST, PUT]


def test_parameters_of_java_are_texts_that_say_what_they_spell() -> None:
    (document,) = bfcl_functions([PUT], "java")
    assert document["description"] == "Put. Note that the provided function is in Java 8 SDK syntax."
    names, shelf, count = document["parameters"]["properties"].values()
    assert names == {
        "type": "string",
        "description": "Names. This is Java ArrayList type parameter in string representation. The list elements are "
        "of type String; they are not in string representation.",
    }
    assert shelf["description"].endswith("can be of any type of Java object in string representation.")
    assert count["type"] == "string"


def test_native_functions() -> None:
    (tool,) = bfcl_tools([FORECAST])
    assert tool["name"] == "weather_forecast"
    assert tool["parameters"]["type"] == "object"
    town, hours, place = tool["parameters"]["properties"].values()
    assert town == {"type": "string", "description": "The town."}
    assert hours["items"] == {"type": "number"}
    assert place["properties"]["height"] == {
        "type": "number",
        "format": "float",
        "description": "Metres. This is a float type value.",
    }


TRUTH = [
    {
        "weather.forecast": {
            "town": ["Oslo", "Oslo, Norway"],
            "hours": ["", [6.0]],
            "place": [{"height": ["", 2.0, 3], "name": ["hill"]}],
        }
    }
]


def test_right_answers() -> None:
    assert right_calls(TRUTH, [FORECAST]) == "[weather.forecast(town='Oslo', place={'name': 'hill'})]"
    assert right_native_calls(TRUTH, [FORECAST]) == (
        '[{"arguments":{"place":{"name":"hill"},"town":"Oslo"},"name":"weather_forecast"}]'
    )
    assert right_calls([], [FORECAST]) == "[]"


def test_a_required_argument_is_given_though_it_may_be_left_out() -> None:
    truth = [{"weather.forecast": {"town": ["", "Oslo"], "hours": [[6.0]]}}]
    assert right_calls(truth, [FORECAST]) == "[weather.forecast(town='Oslo', hours=[6.0])]"


def test_right_answers_in_java() -> None:
    pytest.importorskip("tree_sitter_java", reason="needs pip install 'evalharness[code]'")
    truth = [{"Store.put": {"names": [["a", "b"]], "shelf": ["shelfOne"], "count": [2]}}]
    assert right_calls(truth, [PUT], "java") == (
        '[Store.put(names=new ArrayList<>(Arrays.asList("a", "b")), shelf=shelfOne, count=2)]'
    )
    assert json.loads(right_native_calls(truth, [PUT], "java")) == [
        {
            "name": "Store_put",
            "arguments": {"names": 'new ArrayList<>(Arrays.asList("a", "b"))', "shelf": "shelfOne", "count": "2"},
        }
    ]


def test_signatures_keep_what_scoring_needs() -> None:
    assert signatures([FORECAST]) == [
        {
            "name": "weather.forecast",
            "parameters": {
                "properties": {
                    "town": {"type": "string"},
                    "hours": {"type": "array", "items": {"type": "float"}},
                    "place": {"type": "dict"},
                },
                "required": ["town"],
            },
        }
    ]


def test_json_keeps_the_order_and_escapes_nothing() -> None:
    assert as_json({"b": "<é>", "a": [1, None]}) == '{"b": "<é>", "a": [1, null]}'
