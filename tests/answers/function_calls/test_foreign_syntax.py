"""Calls in Java and JavaScript: the arguments are source text."""

from __future__ import annotations

from importlib import util
from typing import Any, Literal

import pytest

from evalharness.answers.base import build_parser
from evalharness.answers.function_calls.calls import FunctionCall, MalformedCall, NoCall
from evalharness.answers.function_calls.foreign_syntax import read_foreign
from evalharness.errors import ServiceError

pytest.importorskip("tree_sitter_java", reason="needs pip install 'evalharness[code]'")


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("[f(a=1)]", [("f", {"a": "1"})]),
        ("f(a=1);", [("f", {"a": "1"})]),
        ("```Store.Shelf.put(name=\"a b\", mark='c')```", [("Store.Shelf.put", {"name": "a b", "mark": "c"})]),
        ("f(a=new int[]{1, 2}, b=5L, c=-2.5f)", [("f", {"a": "new int[]{1, 2}", "b": "5L", "c": "-2.5f"})]),
        ('f(m=new HashMap<String, Object>() {{ put("a", 1); }})',
         [("f", {"m": 'new HashMap<String, Object>() {{ put("a", 1); }}'})]),
        ("f(a=Paths.get(\"/x\"), b=Mode.FAST)", [("f", {"a": 'Paths.get("/x")', "b": "Mode.FAST"})]),
        ("f(a=\"ünï\", b='é')", [("f", {"a": "ünï", "b": "é"})]),
        ("f(a=1); g(b=2);", [("f", {"a": "1"}), ("g", {"b": "2"})]),
        ("int x = f(a=1);", [("f", {"a": "1"})]),
    ],
)  # fmt: skip
def test_java(text: str, calls: list[tuple[str, dict[str, str]]]) -> None:
    assert read_foreign(text, "java") == [FunctionCall(*each) for each in calls]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("[f(a=1)]", [("f", {"a": "1"})]),
        ("ui.draw(list=[\"a\", 'b'], options={wide: true}, text='x')",
         [("ui.draw", {"list": "[\"a\", 'b']", "options": "{wide: true}", "text": "x"})]),
        ("f(a=(x) => x + 1, b=5n)", [("f", {"a": "(x) => x + 1", "b": "5n"})]),
        ("f(a=1), g()", [("f", {"a": "1"}), ("g", {})]),
        ("f(a=1)\ng(b=2)", [("f", {"a": "1"}), ("g", {"b": "2"})]),
    ],
)  # fmt: skip
def test_javascript(text: str, calls: list[tuple[str, dict[str, str]]]) -> None:
    assert read_foreign(text, "javascript") == [FunctionCall(*each) for each in calls]


def test_arguments_without_names() -> None:
    assert read_foreign('f(x, 2, a=1, /* y */ "z")', "java") == [FunctionCall("f", {"a": "1"}, ("x", "2", "z"))]
    assert read_foreign("f({a: 1})", "javascript") == [FunctionCall("f", {}, ("{a: 1}",))]


@pytest.mark.parametrize("language", ["java", "javascript"])
@pytest.mark.parametrize("text", ["", "[]", "I cannot do that, sorry.", "x = 1", "no"])
def test_what_is_no_call(language: Literal["java", "javascript"], text: str) -> None:
    with pytest.raises(NoCall):
        read_foreign(text, language)


@pytest.mark.parametrize("language", ["java", "javascript"])
@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("f(a=1", "an error in its Java"),
        ("f(a=)", "an error in its Java"),
        ("f(a=1, a=2)", "call 1: the argument 'a' is given twice"),
        ("f(a=1) and so on", "an error in its Java"),
        ("f(" * 50_000, "more than 100,000 characters|an error"),
    ],
)
def test_what_is_malformed(language: Literal["java", "javascript"], text: str, clause: str) -> None:
    with pytest.raises(MalformedCall, match=clause):
        read_foreign(text, language)


def test_a_missing_grammar_is_said_before_anything_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    find: Any = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "tree_sitter_java" else find(name))
    with pytest.raises(ServiceError, match=r"form: java needs the package tree-sitter-java.*evalharness\[code\]"):
        build_parser({"parser": "function_call", "form": "java"}, "answer")
    build_parser({"parser": "function_call", "form": "python"}, "answer")
