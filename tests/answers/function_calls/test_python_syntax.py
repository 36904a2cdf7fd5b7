"""Lists of calls in Python's syntax, as BFCL decodes them, with nothing run."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from evalharness.answers.function_calls.calls import FunctionCall, MalformedCall, NoCall
from evalharness.answers.function_calls.python_syntax import read_python


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("[f(a=1), g()]", [("f", {"a": 1}), ("g", {})]),
        ("f(a=1)", [("f", {"a": 1})]),
        ("f(a=1), g()", [("f", {"a": 1}), ("g", {})]),
        ("  ```[f()]```\n", [("f", {})]),
        ("[math.stats.mean(x=[1, 2])]", [("math.stats.mean", {"x": [1, 2]})]),
        ("[]", []),
        ("[f(\n  a='x',\n  b=\"y\",\n)]", [("f", {"a": "x", "b": "y"})]),
    ],
)
def test_lists_of_calls(text: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    assert read_python(text) == [FunctionCall(name, arguments) for name, arguments in calls]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("-1.5", -1.5),
        ("+2", 2),
        ("not True", False),
        ("2 * 3 + 1", 7),
        ("7 // 2", 3),
        ("'a' 'b' + 'c'", "abc"),
        ("[1] + [2]", [1, 2]),
        ("(1, 2)", (1, 2)),
        ("{'a': [1, {'b': None}]}", {"a": [1, {"b": None}]}),
        ("{1: 'x'}", {1: "x"}),
        ("...", "..."),
        ("b'x'", b"x"),
        ("1j", 1j),
        ("true", "true"),
        ("some_variable", "some_variable"),
        ("g(1, 2)", "g(1, 2)"),
        ("values[0]", "values[0]"),
        ("'\\d'", "\\d"),
    ],
)
def test_values(source: str, value: Any) -> None:
    (call,) = read_python(f"[f(a={source})]")
    assert call.arguments["a"] == value
    assert type(call.arguments["a"]) is type(value)


def test_a_call_as_an_argument() -> None:
    (call,) = read_python("f(a=g(b=[1]))")
    assert call.arguments == {"a": FunctionCall("g", {"b": [1]})}


def test_arguments_without_names_are_kept_apart() -> None:
    (call,) = read_python("f(1, x.y, *z, a=2)")
    assert call == FunctionCall("f", {"a": 2}, (1, "x.y", "*z"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "``",
        "I cannot do that.",
        "Sorry (no function fits).",
        "[1, 2]",
        "{'a': 1}",
        "[f, g]",
        "x = f(",
        "why? f(a=1)",
    ],
)
def test_what_is_no_call(text: str) -> None:
    with pytest.raises(NoCall):
        read_python(text)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("[f(a=1", "cannot parse"),
        ("f(a=1) as you said", "cannot parse"),
        ("f(a=1) and more", "element 1 of the list is no call"),
        ("[f(a=1)] + [g()]", "no single list of calls"),
        ("[f(a=1), 2]", "element 2 of the list is no call"),
        ("[f(a=1, a=2)]", "call 1: the argument 'a' is given twice"),
        ("[f(), g(**x)]", r"call 2: it unpacks a mapping with \*\*"),
        ("[f[0](a=1)]", "what is called is no name"),
        ("[f()()]", "what is called is no name"),
        ("f(a=x.y)", r"no literal \(Attribute\)"),
        ("f(a={1, 2})", r"no literal \(Set\)"),
        ("f(a=lambda: 1)", r"no literal \(Lambda\)"),
        ("f(a=f'{x}')", r"no literal \(JoinedStr\)"),
        ("f(a=[x for x in y])", r"no literal \(ListComp\)"),
        ("f(a=1 < 2)", r"no literal \(Compare\)"),
        ("f(a={[1]: 2})", "a key of a mapping is a list or a mapping"),
        ("f(a={**x})", "no literal"),
        ("f(a=1 / 0)", "cannot be computed: division by zero"),
        ("f(a='x' * 10 ** 9)", "an expression, not a literal"),
        ("f(a=9 ** 9 ** 9)", "an expression, not a literal"),
        ("f(a=x + 1)", "an expression, not a literal"),
        ("f(a=~1.5)", "cannot be computed"),
        ("f(a=\0)", "null bytes"),
        ("f(a='\ud800')", "surrogates"),
        ("f(a=" + "[" * 200 + "]" * 200 + ")", "more than 100 brackets"),
        ("f(a=" + "-" * 50_000 + "1)", "nested too deeply"),
        ("f(a=x" + ".y" * 40_000 + ")", "nested too deeply"),
        ("f(a=1" + " + 1" * 20_000 + ")", "nested too deeply"),
        ("f(a='" + "x" * 100_000 + "')", "more than 100,000 characters"),
    ],
)
def test_what_is_malformed(text: str, clause: str) -> None:
    with pytest.raises(MalformedCall, match=clause):
        read_python(text)


def test_nothing_is_run(tmp_path: Any) -> None:
    """BFCL evaluates arithmetic, so an answer could run what it likes."""
    witness = tmp_path / "witness"
    for value in (f"1 + open({str(witness)!r}, 'w').write('x')", f"__import__('os').mkdir({str(witness)!r})"):
        with contextlib.suppress(MalformedCall):
            read_python(f"[f(a={value})]")
        assert not witness.exists()
