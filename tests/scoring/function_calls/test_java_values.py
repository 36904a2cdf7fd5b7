"""Java source text becomes values as in BFCL, gaps included."""

from __future__ import annotations

import time
from typing import Any

import pytest

from evalharness.scoring.function_calls.java_values import java_value


@pytest.mark.parametrize(
    ("text", "declared", "item", "value"),
    [
        ("-12", "integer", None, -12),
        ("1.0", "integer", None, "1.0"),
        ("7l", "long", None, 7),
        ("1.5F", "float", None, 1.5),
        ("1.5", "float", None, "1.5"),
        ("1e3", "double", None, 1000.0),
        ("false", "boolean", None, False),
        ("FALSE", "boolean", None, "FALSE"),
        ("c", "char", None, "c"),
        ("5", "String", None, "5"),
        ("5", "any", None, "5"),
        ("new int[]{1, 2}", "Array", "integer", [1, 2]),
        ("new int[] { }", "Array", "integer", []),
        ('new String[]{"a"}', "Array", "String", ['"a"']),
        ('new Object[]{1, "a", true, 2L, 1f, x}', "Array", None, [1, "a", True, 2, 1.0, "x"]),
        ("numbers", "Array", "integer", "numbers"),
        ('new ArrayList<>(Arrays.asList("a", "b"))', "ArrayList", "String", ["a", "b"]),
        ("new ArrayList<Long>(Arrays.asList(1L, 2))", "ArrayList", "long", [1, "2"]),
        ("new ArrayList<Float>() {{ add(1.0f); add(2.0f); }}", "ArrayList", "float", [1.0, 2.0]),
        ("new ArrayList<>()", "ArrayList", "String", []),
        ("new ArrayList<>() {{}}", "ArrayList", "String", []),
        ('new ArrayList<>(Arrays.asList("a", 1))', "ArrayList", "any", ['"a"', "1"]),
        ('List.of("a")', "ArrayList", "String", 'List.of("a")'),
        ('new HashMap<String, Object>() {{ put("a", 1); put("b", "x y"); }}', "HashMap", None, {"a": 1, "b": "x y"}),
        ('new HashMap<>() { { put("a", 1.5); } }', "HashMap", None, {"a": 1.5}),
        ("new HashMap<>()", "HashMap", None, {}),
        ("new HashMap<>() {{ }}", "HashMap", None, {}),
        ("settings", "HashMap", None, "settings"),
        (f"new int[]{{{'1, ' * 1000}1}}", "Array", "integer", f"new int[]{{{'1, ' * 1000}1}}"),
    ],
)
def test_values(text: str, declared: str, item: str | None, value: Any) -> None:
    converted = java_value(text, declared, item)
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "new HashMap<>() {" + " " * 1900,
        "new HashMap<" * 150,
        "new HashMap<>() {{ " + 'put("a",' * 230,
        "new ArrayList<>() {{" + " " * 1900,
        "new ArrayList<>(Arrays.asList(" * 60,
        "new a[]{" * 240,
        "new " * 490,
    ],
)
@pytest.mark.parametrize("declared", ["Array", "ArrayList", "HashMap"])
def test_no_text_keeps_the_patterns_busy(text: str, declared: str) -> None:
    began = time.process_time()
    java_value(text, declared, "String")
    assert time.process_time() - began < 5
