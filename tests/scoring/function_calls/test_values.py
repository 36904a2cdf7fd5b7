"""The rules by which BFCL v4 finds a value right."""

from __future__ import annotations

import math
from typing import Any

import pytest

from evalharness.answers.function_calls.calls import FunctionCall
from evalharness.errors import DataError
from evalharness.scoring.function_calls.reference import Parameter
from evalharness.scoring.function_calls.values import Language, refused, standardized


def _kind(
    value: Any, right: list[Any], kind: str, item: str | None = None, language: Language = "python"
) -> str | None:
    refusal = refused(value, right, Parameter(kind, item), language)
    return None if refusal is None else refusal[0]


@pytest.mark.parametrize(
    ("value", "right", "declared", "kind"),
    [
        (2, [2], "integer", None),
        (2, [1, 2], "integer", None),
        (3, [2], "integer", "wrong_value"),
        (2.0, [2], "integer", "wrong_type"),
        (True, [1], "integer", "wrong_type"),
        ("2", [2], "integer", "wrong_type"),
        (2, [2.0], "float", None),
        (2.5, [2.5], "float", None),
        (2**2000, [2.0], "float", "wrong_type"),
        (math.nan, [1.0], "float", "wrong_value"),
        (True, [True], "boolean", None),
        (False, [True], "boolean", "wrong_value"),
        (1, [True], "boolean", "wrong_type"),
        (None, ["x"], "string", "wrong_type"),
        (None, [None], "string", None),
        ("x", ["x"], "any", None),
        ("", ["x", ""], "string", None),
        ("size", ["size"], "integer", None),
        ("length", ["size"], "integer", "wrong_value"),
        (5, ["size"], "integer", "wrong_value"),
        (FunctionCall("g", {"a": 1}), ["x"], "string", "wrong_type"),
        (b"x", ["x"], "string", "wrong_type"),
        ("x", [], "string", "wrong_value"),
        ([], [""], "dict", "wrong_type"),
    ],
)
def test_single_values(value: Any, right: list[Any], declared: str, kind: str | None) -> None:
    assert _kind(value, right, declared) == kind


@pytest.mark.parametrize(
    ("said", "right", "same"),
    [
        ("new york, ny", "New York NY", True),
        ("2024-05-01", "2024/05/01", True),
        ("it's", 'it"s', True),
        ("a*b^2", "ab2", True),
        ("3.5", "35", True),
        ("Zoë", "Zoe", False),
        ("a b", "a\nb", False),
        ("yes!", "yes", False),
        ("a;b", "ab", False),
    ],
)
def test_texts_are_compared_without_small_marks(said: str, right: str, same: bool) -> None:
    assert (standardized(said) == standardized(right)) is same
    assert (_kind(said, [right], "string") is None) is same


@pytest.mark.parametrize(
    ("value", "right", "declared", "item", "kind"),
    [
        ([1, 2], [[1, 2]], "array", "integer", None),
        ([2, 1], [[1, 2]], "array", "integer", "wrong_value"),
        ([1], [[1, 2]], "array", "integer", "wrong_value"),
        (["A", "b."], [["a", "b"]], "array", "string", None),
        ([1, "2"], [[1, 2]], "array", "integer", "wrong_type"),
        ([1, 2], [[1.0, 2.0]], "array", "float", "wrong_type"),
        ([1, 2], [[1, 2]], "array", "float", None),
        ((1, 2), [[1, 2]], "array", "integer", "wrong_type"),
        ((1, 2), [[1, 2]], "tuple", "integer", None),
        ([1, 2], [[1, 2]], "tuple", "integer", None),
        ([(1, 2)], [[[1, 2]]], "array", "tuple", "wrong_type"),
        ([], [[1], ""], "array", "integer", None),
        ([], [[1]], "array", "integer", "wrong_value"),
        ([[1, 2], [3]], [[[1, 2], [3]]], "array", "array", None),
        ([["A"]], [[["a"]]], "array", "array", "wrong_value"),
        ("rows", ["rows"], "array", "integer", None),
        ([1, 2], ["rows"], "array", "integer", "wrong_value"),
    ],
)
def test_lists(value: Any, right: list[Any], declared: str, item: str, kind: str | None) -> None:
    assert _kind(value, right, declared, item) == kind


@pytest.mark.parametrize(
    ("value", "right", "kind"),
    [
        ({"a": 1}, [{"a": [1, 2]}], None),
        ({"a": 3}, [{"a": [1, 2]}], "wrong_value"),
        ({"a": "X y"}, [{"a": ["xy"]}], None),
        ({}, [{"a": [1]}], "wrong_value"),
        ({}, [{"a": [1, ""]}], None),
        ({"a": 1, "b": 2}, [{"a": [1]}], "wrong_value"),
        ({"a": 1}, [{"b": [1]}, {"a": [1]}], None),
        ({"a": 1}, [""], "wrong_value"),
        ({"a": {"b": 1}}, [{"a": [{"b": 1}]}], None),
        ({"a": True}, [{"a": [1]}], None),
        ({"a": "x"}, [{"a": "x"}], None),
        ("config", ["config"], None),
    ],
)
def test_mappings(value: Any, right: list[Any], kind: str | None) -> None:
    assert _kind(value, right, "dict") == kind


@pytest.mark.parametrize(
    ("value", "right", "kind"),
    [
        ([{"a": 1}, {"b": 2}], [[{"a": [1]}, {"b": [2, 3]}]], None),
        ([{"b": 2}, {"a": 1}], [[{"a": [1]}, {"b": [2]}]], "wrong_value"),
        ([{"a": 1}], [[{"a": [1]}, {"b": [2]}]], "wrong_value"),
        ([1], [[{"a": [1]}]], "wrong_type"),
        ([1], ["", [{"a": [1]}]], "wrong_type"),
        ([], ["", [{"a": [1]}]], None),
    ],
)
def test_lists_of_mappings(value: Any, right: list[Any], kind: str | None) -> None:
    assert _kind(value, right, "array", "dict") == kind


@pytest.mark.parametrize(
    ("value", "right", "declared", "language", "kind"),
    [
        ("5", [5], "integer", "java", None),
        (5, [5], "integer", "java", "wrong_type"),
        ("5", [5], "long", "java", "wrong_type"),
        ("5L", [5], "long", "java", None),
        ("9" * 5000, [5], "integer", "java", "wrong_type"),
        ("true", [True], "boolean", "java", None),
        ("Mode.FAST", ["Mode.FAST"], "integer", "java", None),
        ("5", [5], "integer", "javascript", None),
        ("5.0", [5], "integer", "javascript", "wrong_type"),
    ],
)
def test_source_texts(value: Any, right: list[Any], declared: str, language: Language, kind: str | None) -> None:
    assert _kind(value, right, declared, None, language) == kind


@pytest.mark.parametrize(
    ("value", "right", "declared", "item", "clause"),
    [
        ("celcius", ["celsius", "C"], "string", None, '"celcius" is none of "celsius", "C"'),
        (3, [2], "integer", None, "3 is not 2"),
        ("2", [2], "integer", None, '"2" is of the type str, not integer'),
        ([1, "x"], [[1, 2]], "array", "integer", '[1, "x"] holds other items than integer ones'),
        ({"a": 3}, [{"a": [1, 2]}], "dict", None, 'at the key "a" 3 is none of 1, 2'),
        ({"b": 3}, [{"a": [1]}], "dict", None, '{"b": 3} has the key "b", which no right one has'),
        ({}, [{"a": [1]}], "dict", None, '{} lacks the key "a"'),
        ("x" * 99, ["y"], "string", None, f'"{"x" * 56}... is not "y"'),
        ("x", [""], "string", None, '"x" is not right: nothing may be given here'),
        (9, list(range(7)), "integer", None, "9 is none of 0, 1, 2, 3, 4, ..."),
        (FunctionCall("g", {"a": 1}), ["x"], "string", None, "a call of g is of the type call, not string"),
    ],
)
def test_what_is_said(value: Any, right: list[Any], declared: str, item: str | None, clause: str) -> None:
    refusal = refused(value, right, Parameter(declared, item), "python")
    assert refusal is not None
    assert refusal[1] == clause


@pytest.mark.parametrize(
    ("declared", "item", "sentence"),
    [
        ("int", None, "declares the type 'int', which the rules for python do not know; did you mean 'integer'?"),
        ("array", None, "declares the type 'None', which the rules for python do not know; known: any, array"),
        ("array", "number", "declares the type 'number'"),
    ],
)
def test_a_type_that_the_rules_do_not_know(declared: str, item: str | None, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence.replace("?", r"\?")):
        refused(1, [1], Parameter(declared, item), "python")
