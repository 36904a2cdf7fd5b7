"""JavaScript source text becomes values as in BFCL, gaps included."""

from __future__ import annotations

import time
from typing import Any

import pytest

from evalharness.scoring.function_calls.javascript_values import javascript_value


@pytest.mark.parametrize(
    ("text", "declared", "item", "value"),
    [
        ("'a'", "String", None, "a"),
        ("a", "String", None, "a"),
        ("-3", "integer", None, -3),
        ("3.0", "integer", None, "3.0"),
        ("3", "float", None, 3.0),
        ("3e2", "float", None, "3e2"),
        ("12n", "Bigint", None, 12),
        ("12", "Bigint", None, "12"),
        ("true", "Boolean", None, True),
        ("5", "any", None, "5"),
        ("[1, 2]", "array", "integer", [1, 2]),
        ("[]", "array", "integer", []),
        ("new Array(1, 2)", "array", "float", [1.0, 2.0]),
        ("['a', \"b\", c]", "array", "String", ["a", "b", "c"]),
        ("[1, 'two', true, x]", "array", None, [1, "two", True, "x"]),
        ('["a, b"]', "array", "String", ['"a', 'b"']),
        ("[[1, 2], [3]]", "array", "array", [[1, 2], [3]]),
        ("[ [1.5, 2],\n  ['x'] ]", "array", "array", [[1.5, 2], ["x"]]),
        ("new Array([1], [2])", "array", "array", [[1], [2]]),
        ("[[1,\n2]]", "array", "array", "[[1,\n2]]"),
        ("items", "array", "String", "items"),
        ("{}", "dict", None, {}),
        ('{"a": 1, \'b\': "x", c: true, d: y}', "dict", None, {"a": 1, "b": "x", "c": True, "d": "y"}),
        ('{"a": ["x", 2], "b": z}', "dict", None, {"a": ["x", 2], "b": "z"}),
        ("settings", "dict", None, "settings"),
    ],
)
def test_values(text: str, declared: str, item: str | None, value: Any) -> None:
    converted = javascript_value(text, declared, item)
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "[[" + "1],[" * 490 + "x",
        "[" * 1900,
        "[[1]," * 390 + "x]",
        "new Array([" + "1],[" * 480,
        "{" + "a:" * 900,
        "{" + "a:b," * 450 + "}",
        "{" + " " * 1900 + "}",
    ],
)
@pytest.mark.parametrize("declared", ["array", "dict"])
def test_no_text_keeps_the_patterns_busy(text: str, declared: str) -> None:
    """BFCL's own patterns take exponential time on some of these."""
    began = time.process_time()
    javascript_value(text, declared, "String")
    assert time.process_time() - began < 5
