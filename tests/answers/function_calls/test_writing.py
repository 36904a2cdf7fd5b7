"""Calls are written as the reader of their language reads them."""

from __future__ import annotations

from typing import Any

import pytest

from evalharness.answers.function_calls.calls import FunctionCall
from evalharness.answers.function_calls.foreign_syntax import read_foreign
from evalharness.answers.function_calls.writing import Language, write_calls

TYPES: dict[str, dict[str, dict[str, Any]]] = {
    "Store.put": {
        "name": {"type": "String"},
        "copies": {"type": "integer"},
        "id": {"type": "long"},
        "weight": {"type": "float"},
        "sizes": {"type": "Array", "items": {"type": "double"}},
        "tags": {"type": "ArrayList", "items": {"type": "String"}},
        "labels": {"type": "HashMap"},
        "shelf": {"type": "any"},
    }
}
ARGUMENTS = {
    "name": "a b",
    "copies": 2,
    "id": 7,
    "weight": 1.5,
    "sizes": [1.0, 2.0],
    "tags": ["x"],
    "labels": {"k": "v", "n": 1, "fresh": True},
    "shelf": "shelfOne",
}
CALLS = [FunctionCall("Store.put", ARGUMENTS)]


def test_python() -> None:
    calls = [FunctionCall("f", {"a": 1, "b": ("x", None)}), FunctionCall("g", positional=(True,))]
    assert write_calls(calls, "python") == "[f(a=1, b=('x', None)), g(True)]"


def test_java() -> None:
    written = write_calls(CALLS, "java", TYPES)
    assert written == (
        '[Store.put(name="a b", copies=2, id=7L, weight=1.5f, sizes=new double[]{1.0, 2.0}, '
        'tags=new ArrayList<>(Arrays.asList("x")), '
        'labels=new HashMap<String, Object>() {{ put("k", "v"); put("n", 1); put("fresh", true); }}, shelf=shelfOne)]'
    )
    (call,) = read_foreign(written, "java")
    assert call.arguments["name"] == "a b"
    assert (
        call.arguments["labels"]
        == 'new HashMap<String, Object>() {{ put("k", "v"); put("n", 1); put("fresh", true); }}'
    )


def test_javascript() -> None:
    types: Any = {"f": {"a": {"type": "String"}, "b": {"type": "Bigint"}, "e": {"type": "any"}}}
    call = FunctionCall("f", {"a": "x", "b": 5, "c": [1, "y"], "d": {"k": True}, "e": "box.width", "g": 'say("x")'})
    written = write_calls([call], "javascript", types)
    assert written == '[f(a="x", b=5n, c=[1, "y"], d={"k": true}, e=box.width, g=say("x"))]'


@pytest.mark.parametrize("language", ["python", "java", "javascript"])
def test_no_calls(language: Language) -> None:
    assert write_calls([], language) == "[]"
