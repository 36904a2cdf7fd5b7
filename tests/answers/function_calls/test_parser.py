"""The parser: one canonical form of all forms, a reason where there is none, and no text that stops it."""

from __future__ import annotations

import json
import time
from keyword import iskeyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.answers.base import build_parser
from evalharness.answers.function_calls.calls import FunctionCall, from_json, to_json
from evalharness.answers.function_calls.writing import write_calls
from evalharness.errors import DataError

FORMS = ("auto", "python", "json", "react", "java", "javascript")
PARSERS = {form: build_parser({"parser": "function_call", "form": form}, "answer") for form in FORMS}


@pytest.mark.parametrize(
    "text",
    [
        "[weather(town='Oslo', days=2)]",
        "Certainly:\n```python\n[weather(town='Oslo', days=2)]\n```",
        "I call [weather(town='Oslo', days=2)] for that.",
        '{"name": "weather", "arguments": {"days": 2, "town": "Oslo"}}',
        '<tool_call>{"name": "weather", "arguments": {"days": 2, "town": "Oslo"}}</tool_call>',
        "Thought: x\nAction: weather\nAction Input: {'town': 'Oslo', 'days': 2}",
    ],
)
def test_auto_finds_the_form(text: str) -> None:
    assert PARSERS["auto"].parse(text).value == '[{"arguments":{"days":2,"town":"Oslo"},"name":"weather"}]'


def test_auto_says_what_was_begun() -> None:
    assert PARSERS["auto"].parse("Nothing fits.").why == "no call: the text holds none in any form"
    assert str(PARSERS["auto"].parse("[weather(town=").why).startswith("malformed call: Python cannot parse")
    assert str(PARSERS["auto"].parse('{"name": "weather"}').why).startswith("malformed call: call 1, of 'weather'")


def test_an_empty_list_is_an_answer() -> None:
    assert [PARSERS[form].parse("[]").value for form in ("auto", "python", "json")] == ["[]"] * 3


def test_the_place_of_the_answer() -> None:
    text = "  \n[f(a=1)]\n"
    assert PARSERS["python"].parse(text).span == (3, 11)


def test_a_right_answer_takes_the_same_form() -> None:
    assert PARSERS["python"].canonical("[f(a=1)]") == PARSERS["json"].canonical('{"name": "f", "arguments": {"a": 1}}')
    assert PARSERS["python"].canonical(" none ") == "none"


def test_calls_vote() -> None:
    reading = PARSERS["auto"].read(["[f(a=1)]", "no", '{"name": "f", "arguments": {"a": 1}}', "[g()]"])
    assert reading.parsed.value == '[{"arguments":{"a":1},"name":"f"}]'
    assert sorted(reading.votes.values()) == [1, 2]


def test_an_unknown_form() -> None:
    with pytest.raises(DataError, match="answer: form: Input should be 'auto', 'python'"):
        build_parser({"parser": "function_call", "form": "xml"}, "answer")


# --------------------------------------------------------------------------- whatever the text

PIECES = st.sampled_from(
    [
        *("[", "]", "(", ")", "{", "}", "f", "f(", "a=", "1", "-", "'", '"', ",", ".", "**", "\n", "\0", "\ud800", "é"),
        *(
            "```",
            "```json\n",
            "<tool_call>",
            "</tool_call>",
            "Action: ",
            "Action Input: ",
            '{"name": "f", "arguments": ',
        ),
        *("lambda: ", "new int[]{", "=>", "/*", "//", ";", "True", "...", "9" * 5000, "0x" + "f" * 9000, "# ", "\\"),
    ]
)


@pytest.mark.parametrize("form", FORMS)
@given(text=st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)))
def test_no_text_raises(form: str, text: str) -> None:
    parsed = PARSERS[form].parse(text)
    if parsed.value is None:
        assert str(parsed.why).startswith(("no call: ", "malformed call: "))
    else:
        assert to_json(from_json(parsed.value)) == parsed.value


LONG = {
    "brackets": "[" * 1_000_000,
    "parentheses": "f(" * 500_000,
    "begun lists": "[f(" * 300_000,
    "begun objects": '{"name": ' * 100_000,
    "objects": '{"a": 1} ' * 100_000,
    "signs": "f(a=" + "-" * 999_000 + "1)",
    "attributes": "f(a=x" + ".x" * 49_000 + ")",
    "actions": "Action: f\nAction Input: {" * 40_000,
    "fences": "```\n" * 250_000,
    "tags": "<tool_call>" * 90_000,
    "spaces": "f(a=" + " " * 999_000 + "1)",
    "words": "call me (maybe) " * 60_000,
    "quotes": '"' * 1_000_000,
    "nulls": "\0" * 1_000_000,
    "surrogates": "\ud800" * 1_000_000,
    "a long answer": f"[f(a={'x' * 1_000_000!r})]",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LONG)
def test_a_megabyte_of_anything_is_read_in_seconds(form: str, name: str) -> None:
    began = time.process_time()
    parsed = PARSERS[form].parse(LONG[name])
    assert (parsed.value is None) != (parsed.why is None)
    assert time.process_time() - began < 20  # a quadratic reader would take hours


# --------------------------------------------------------------------------- what is written is read

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: not iskeyword(name))
TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0$"))
JSON_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**18), 10**18),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXTS,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
CALLS = st.lists(
    st.builds(
        FunctionCall,
        st.lists(NAMES, min_size=1, max_size=3).map(".".join),
        st.dictionaries(NAMES, JSON_VALUES, max_size=3),
    ),
    max_size=3,
)


@given(CALLS)
def test_every_form_reads_the_same_calls(calls: list[FunctionCall]) -> None:
    python = PARSERS["python"].parse(write_calls(calls, "python"))
    written = json.dumps([{"name": call.name, "arguments": dict(call.arguments)} for call in calls])
    assert (
        python.value == PARSERS["json"].parse(written).value == PARSERS["auto"].parse(written).value == to_json(calls)
    )
