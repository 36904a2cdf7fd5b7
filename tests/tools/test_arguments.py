"""Arguments that do not fit a schema are one sentence that a model can act on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.tools.arguments import ArgumentsError, checked
from evalharness.types import ToolSchema

ORDER = ToolSchema(
    name="order",
    description="Orders a meal.",
    parameters={
        "type": "object",
        "properties": {
            "dish": {"type": "string", "description": "Name of the dish."},
            "count": {"type": "integer", "minimum": 1},
            "size": {"type": "string", "enum": ["small", "large"]},
            "extras": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}},
                                                 "required": ["name"]}},
            "price": {"type": ["number", "null"]},
        },
        "required": ["dish", "count"],
        "additionalProperties": False,
    },
)  # fmt: skip
RIGHT: dict[str, Any] = {"dish": "soup", "count": 2}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (RIGHT, RIGHT),
        ('{"dish": "soup", "count": 2}', RIGHT),
        (
            {**RIGHT, "price": None, "extras": [{"name": "salt"}]},
            {**RIGHT, "price": None, "extras": [{"name": "salt"}]},
        ),
    ],
)
def test_what_fits_is_taken(given: Any, found: dict[str, Any]) -> None:
    assert checked(ORDER, given) == found


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"count": 1}, "order: the argument 'dish' is missing; it must be a string (Name of the dish)."),
        ({"dish": "soup"}, "order: the argument 'count' is missing; it must be an integer."),
        ({**RIGHT, "colour": 1}, "order: there is no argument 'colour'; did you mean 'count'?"),
        ({"dihs": "soup", "count": 1}, "order: there is no argument 'dihs'; did you mean 'dish'?"),
        ({**RIGHT, "count": "two"}, "order: the argument 'count' must be an integer, not \"two\"."),
        ({**RIGHT, "count": True}, "order: the argument 'count' must be an integer, not true."),
        ({**RIGHT, "count": 0}, "order: the argument 'count': 0 is less than the minimum of 1."),
        ({**RIGHT, "price": "x"}, "order: the argument 'price' must be a number or a null, not \"x\"."),
        ({**RIGHT, "size": "tall"}, 'order: the argument \'size\' must be one of "small", "large", not "tall".'),
        ({**RIGHT, "extras": [{}]}, "order: the argument 'name' of 'extras.0' is missing; it must be a string."),
        ({**RIGHT, "extras": [3]}, "order: the argument 'extras.0' must be an object, not 3."),
        ({**RIGHT, "dish": ["x" * 200]}, 'must be a string, not ["' + "x" * 55 + "...."),
        ("[1]", "order: the arguments must be a JSON object, not [1]."),
        ("{'dish': 1}", "order: the arguments are not JSON: Expecting property name"),
        ("[" * 100_000, "order: the arguments are not JSON: "),
        ("", "order: the argument 'dish' is missing; it must be a string (Name of the dish)."),
    ],
)
def test_what_does_not_fit_is_one_sentence(given: Any, told: str) -> None:
    with pytest.raises(ArgumentsError) as caught:
        checked(ORDER, given)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_function_without_parameters_takes_no_text_at_all() -> None:
    nothing = ToolSchema(name="stop", description="", parameters={"type": "object", "properties": {}})
    assert checked(nothing, "") == {}


def test_no_reference_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: Any, **__: Any) -> Any:
        raise AssertionError("an address was opened")

    monkeypatch.setattr("urllib.request.urlopen", opened)
    elsewhere = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}}
    with pytest.raises(Exception, match=r"schema\.json"):
        checked(ToolSchema(name="f", description="", parameters=elsewhere), {"a": 1})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["dish", "count", "size", "extras", "price", "x"]), JSON))
def test_any_object_fits_or_is_a_sentence(given: dict[str, Any]) -> None:
    told = ""
    try:
        found = checked(ORDER, given)
    except ArgumentsError as error:
        told = str(error)
    assert found == given if not told else told.startswith("order: ") and told[-1] in ".?"
