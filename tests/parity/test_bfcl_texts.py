"""The same texts are the same calls by BFCL's own decoders and by ours, but where the table `OTHERWISE` says why not.

So are the values of Java's and JavaScript's source texts.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from parity.bfcl_oracle import Oracle, shared_oracle
from parity.bfcl_rows import CHECKED, as_bfcl, language_of, parser_of, rows_of
from parity.mutated_calls import mutated

from evalharness.answers.function_calls.calls import from_json
from evalharness.answers.function_calls.writing import write_calls
from evalharness.scoring.function_calls.check import Rules, problem_of
from evalharness.scoring.function_calls.java_values import java_value
from evalharness.scoring.function_calls.javascript_values import javascript_value
from evalharness.scoring.function_calls.reference import right_calls

pytest.importorskip("tree_sitter_java", reason="needs pip install 'evalharness[code]'")

TEXTS = 2_000

OTHERWISE: dict[str, tuple[str, str, bool, bool, str]] = {
    "plus": ("python", "[f(a=+1)]", False, True, "BFCL takes every sign for a minus: +1 is -1."),
    "not": ("python", "[g(a=not False)]", False, True, "As above: not False is -0."),
    "given twice": ("python", "[f(a=2, a=1)]", True, False, "Python refuses such a call; BFCL takes the last value."),
    "a subscript": ("python", "[x[0].f(a=1)]", True, False, "BFCL loses what is no name, and calls f."),
    "a call run": (
        "python",
        "[f(a=int('0') + 1)]",
        True,
        False,
        "BFCL runs arithmetic by eval; we run nothing.",
    ),
    "a shift": ("python", "[f(a=2 >> 1)]", True, False, "As above; we compute some arithmetic on literals, no shifts."),
    "no semicolon": ("java", "f(a=1)", False, True, "tree-sitter finds an error in a short statement without an end."),
    "two in Java": ("java", "f(a=1); f(a=2);", True, False, "BFCL reads the first call and passes over the second."),
    "two bytes": ("java", 'f(a=1, b="é", c=2);', False, True, "BFCL cuts a text at positions that count its bytes."),
    "a body": ("java", 'f(a=1, d=new HashMap<>() {{ put("k", 1); }});', False, True, "BFCL drops what is in braces."),
    "unnamed in Java": ("java", "f(7, a=1);", True, False, "BFCL refuses names without a name, and skips literals."),
    "two": ("javascript", "f(a=1); f(a=2);", True, False, "BFCL reads the first call and passes over the second."),
    "unnamed": ("javascript", "f(7, a=1)", True, False, "BFCL refuses names without a name, and skips literals."),
}
"""By what they show: texts that are read otherwise, in a language, whether right by BFCL and by us, and why."""


@pytest.fixture(scope="module")
def bfcl() -> Oracle:
    return shared_oracle()


# --------------------------------------------------------------------------- texts that agree

Frame = Callable[[str, random.Random], str]


def _with_a_letter_more(text: str, draw: random.Random) -> str:
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice("()[]{},='\"\\ x1") + text[at:]


def _with_a_letter_less(text: str, draw: random.Random) -> str:
    at = draw.randrange(len(text) + 1)
    return text[:at] + text[at + 1 :]


FRAMES: tuple[Frame, ...] = (
    lambda text, draw: text,
    lambda text, draw: text[1:-1],
    lambda text, draw: f"```\n{text}\n```",
    lambda text, draw: f" `{text}`\n",
    lambda text, draw: f"```python\n{text}\n```",
    lambda text, draw: f"Here: {text}",
    lambda text, draw: text + text,
    lambda text, draw: text[: draw.randrange(len(text) + 1)],
    _with_a_letter_more,
    _with_a_letter_less,
)


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_python_texts(bfcl: Oracle) -> None:
    """Mutated calls, written, framed and damaged."""
    draw, parser, read = random.Random(20260324), parser_of("python"), 0
    categories = [name for name in CHECKED if language_of(name) == "python"]
    for number in range(TEXTS):
        row = draw.choice(rows_of(categories[number % len(categories)]))
        calls = mutated(from_json(str(parser.parse(row.answer).value)), row.row, draw, java_like=False)
        text = draw.choice(FRAMES)(write_calls(calls, "python"), draw)
        ours, theirs = parser.parse(text), bfcl.decoded(text, "python")
        if not theirs:  # to BFCL an empty text is an empty list
            assert ours.value == (None if theirs is None or not text.strip("`\n ") else "[]"), text
        else:
            assert ours.value is not None, (text, ours.why)
            assert _told([as_bfcl(call) for call in from_json(ours.value)]) == _told(theirs), text
            read += 1
    assert read > TEXTS / 3


def _told(value: Any) -> str:
    """A value with its types, its mappings sorted: canonical JSON keeps no order of keys."""
    match value:
        case dict():
            return str(sorted((repr(key), _told(item)) for key, item in value.items()))
        case list() | tuple():
            return f"{type(value).__name__}{list(map(_told, value))}"
    return repr(value)


# --------------------------------------------------------------------------- texts that do not


F = {"a": {"type": "integer"}, "b": {"type": "any"}, "c": {"type": "integer"}, "d": {"type": "HashMap"}}
FUNCTIONS = [
    {"name": "f", "parameters": {"type": "dict", "properties": F, "required": ["a"]}},
    {"name": "g", "parameters": {"type": "dict", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}},
]
TRUTHS: dict[str, Any] = {
    "f": {"f": {"a": [1], "b": ["", "é"], "c": ["", 2], "d": ["", {"k": [1]}]}},
    "g": {"g": {"a": [True]}},
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_a_text_that_is_read_otherwise(name: str, bfcl: Oracle) -> None:
    language, text, theirs, ours, why = OTHERWISE[name]
    called = "g" if "g(" in text else "f"
    functions, truth = [each for each in FUNCTIONS if each["name"] == called], [TRUTHS[called]]
    read = bfcl.decoded(text, language)
    assert (read is not None and bfcl.verdict(functions, read, truth, language, "simple") is True) == theirs
    parsed = parser_of(language).parse(text)
    target = right_calls(json.dumps({"functions": functions, "ground_truth": truth}))
    rules = Rules(language=language)  # type: ignore[arg-type]
    right = parsed.value is not None and problem_of(from_json(parsed.value), target, rules) is None
    assert right == ours
    assert why


# --------------------------------------------------------------------------- source text of Java and JavaScript

JAVA = (
    *("1", "-2", "3.5", "4L", "5f", "1e3", "true", "x", '"a b"', "'c'", ", ", ",", " ", "\n"),
    *("{", "}", "{{", "}}", "(", ")", "))", "); ", ");", "new int[]{", "new String[] {", "new HashMap<>()"),
    *("new ArrayList<>(Arrays.asList(", "new ArrayList<Long>() {{ ", "new ArrayList<>()", "add("),
    *("new HashMap<String, Object>() {{ ", 'put("k", '),
)
JAVA_TYPES = ("byte", "integer", "long", "float", "double", "boolean", "char", "String", "any")
JAVASCRIPT = (
    *("1", "-2", "3.5", "4n", "true", "x", '"a b"', "'c'", ", ", ",", " ", "\n", "{", "}", "[", "]", "[[", "]]"),
    *("], [", "new Array(", ")", "k: ", '"k": ', ":"),
)
JAVASCRIPT_TYPES = ("String", "integer", "float", "Bigint", "Boolean", "any")


@pytest.mark.parametrize("declared", [*JAVA_TYPES, "Array", "ArrayList", "HashMap"])
def test_java_values(declared: str, bfcl: Oracle) -> None:
    _same_values(bfcl.java.java_type_converter, java_value, JAVA, declared, JAVA_TYPES, declared.startswith("Array"))


@pytest.mark.parametrize("declared", [*JAVASCRIPT_TYPES, "array", "dict"])
def test_javascript_values(declared: str, bfcl: Oracle) -> None:
    theirs = bfcl.javascript.js_type_converter
    _same_values(theirs, javascript_value, JAVASCRIPT, declared, (*JAVASCRIPT_TYPES, "array"), declared == "array")


def _same_values(theirs: Any, ours: Any, pieces: Any, declared: str, types: Any, listed: bool) -> None:
    draw, compared = random.Random(declared), 0
    for _ in range(1_500):
        text = "".join(draw.choices(pieces, k=draw.randrange(1, 10)))
        item = draw.choice([None, *types]) if listed else None
        try:
            expected = theirs(text, declared, item)
        except Exception:
            continue  # BFCL breaks down
        assert repr(ours(text, declared, item)) == repr(expected), (text, declared, item)
        compared += 1
    assert compared > 1_000
