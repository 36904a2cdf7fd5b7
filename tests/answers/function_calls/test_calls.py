"""The canonical JSON of calls keeps what Python's types tell apart."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.answers.function_calls.calls import DEEPEST, FunctionCall, MalformedCall, from_json, to_json

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.complex_numbers(allow_nan=False),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.integers(), st.just("$tuple")), inner, max_size=3),
        st.builds(FunctionCall, st.text(), st.dictionaries(st.text(), inner, max_size=2)),
    ),
    max_leaves=8,
)
CALLS = st.lists(
    st.builds(
        FunctionCall, st.text(), st.dictionaries(st.text(), VALUES, max_size=3), st.lists(VALUES, max_size=2).map(tuple)
    ),
    max_size=3,
)


def _typed(value: Any) -> Any:
    """A value beside its type, all the way down: to Python 1, 1.0 and True are the same."""
    match value:
        case list() | tuple():
            return type(value), [_typed(item) for item in value]
        case dict():
            return [(_typed(key), _typed(item)) for key, item in value.items()]
        case FunctionCall():
            return value.name, _typed(dict(value.arguments)), _typed(value.positional)
    return type(value), repr(value)


@given(CALLS)
def test_calls_come_back_as_they_were(calls: list[FunctionCall]) -> None:
    back = from_json(to_json(calls))
    assert len(back) == len(calls)
    for one, other in zip(back, calls, strict=True):
        assert one.name == other.name
        assert sorted(one.arguments) == sorted(other.arguments)
        for name, value in one.arguments.items():
            assert _sorted(_typed(value)) == _sorted(_typed(other.arguments[name]))
        assert _sorted(_typed(one.positional)) == _sorted(_typed(other.positional))


def _sorted(typed: Any) -> Any:
    """Canonical JSON sorts the keys of mappings, so their order is none of a value."""
    if isinstance(typed, list):
        return sorted((_sorted(each) for each in typed), key=repr)
    return tuple(map(_sorted, typed)) if isinstance(typed, tuple) else typed


@given(CALLS)
def test_canonical_json_is_json_that_every_reader_takes(calls: list[FunctionCall]) -> None:
    def refused(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(to_json(calls), parse_constant=refused)


def test_the_shape() -> None:
    call = FunctionCall("math.hypot", {"y": (1, 2.0), "x": {"a": True}}, (3,))
    assert to_json([call]) == (
        '[{"arguments":{"x":{"a":true},"y":{"$tuple":[1,2.0]}},"name":"math.hypot","positional":[3]}]'
    )
    assert to_json([FunctionCall("stop")]) == '[{"arguments":{},"name":"stop"}]'


def test_not_a_number_comes_back() -> None:
    (call,) = from_json(to_json([FunctionCall("f", {"a": math.nan, "b": -math.inf})]))
    assert math.isnan(call.arguments["a"])
    assert call.arguments["b"] == -math.inf


@pytest.mark.parametrize(
    ("value", "clause"),
    [
        (2**40_000, "whole number of thousands of digits"),
        ({1, 2}, "of the type set"),
    ],
    ids=["huge", "set"],
)
def test_what_cannot_be_kept(value: Any, clause: str) -> None:
    with pytest.raises(MalformedCall, match=clause):
        to_json([FunctionCall("f", {"a": value})])


def test_how_deep_an_argument_may_be() -> None:
    value: Any = 1
    for _ in range(DEEPEST - 1):
        value = [value]
    assert from_json(to_json([FunctionCall("f", {"a": value})]))[0].arguments["a"] == value
    with pytest.raises(MalformedCall, match="nested deeper than 50"):
        to_json([FunctionCall("f", {"a": [[value]]})])


@pytest.mark.parametrize("text", ["", "1", "[1]", '[{"name": "f"}]', '[{"name": "f", "arguments": []}]', "[" * 100_000])
def test_a_text_that_is_no_canonical_list(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)
