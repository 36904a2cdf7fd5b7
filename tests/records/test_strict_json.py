"""Any value becomes JSON that strict readers accept, and comes back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.records.strict_json import one_line, pages, parse

numbers = st.floats(width=64)
texts = st.text() | st.sampled_from(["NaN", "Infinity", "-Infinity", "\ud800", "a\u2028b", "\r\n"])


def strict(raw: bytes) -> Any:
    """What a reader makes of it that knows no NaN."""

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(raw.decode("utf-8"), parse_constant=refuse)


def same(one: Any, other: Any) -> bool:
    """Equality under which NaN equals itself, and 0.0 is not -0.0."""
    return repr(one) == repr(other)


@given(st.dictionaries(texts, texts | numbers | st.lists(numbers | texts)))
def test_a_line_is_strict_json_on_one_line(value: dict[str, Any]) -> None:
    raw = one_line(value)
    assert raw.count(b"\n") == 1
    assert raw.endswith(b"\n")
    assert list(strict(raw)) == list(value)
    assert strict(pages(value)) == strict(raw)


@given(
    st.fixed_dictionaries(
        {
            "answer": texts,
            "completions": st.lists(texts),
            "scores": st.dictionaries(texts, numbers),
            "log_likelihoods": st.lists(numbers | st.lists(numbers)),
            "repeats": st.lists(st.fixed_dictionaries({"text": texts, "log_probabilities": st.lists(numbers)})),
            "tool_calls": st.lists(st.fixed_dictionaries({"scores": texts})),
        }
    )
)
def test_numbers_come_back_as_numbers_and_texts_as_texts(line: dict[str, Any]) -> None:
    read = parse(one_line(line))
    assert same(read, line)


def test_numbers_that_are_not_finite_are_spelled_by_name() -> None:
    raw = one_line({"scores": {"a": math.nan, "b": math.inf}, "log_likelihoods": [-math.inf]})
    assert raw == b'{"scores":{"a":"NaN","b":"Infinity"},"log_likelihoods":["-Infinity"]}\n'


def test_text_is_written_as_it_is_where_utf8_has_it() -> None:
    assert one_line({"text": "é\ud800"}) == b'{"text":"\\u00e9\\ud800"}\n'
    assert one_line({"text": "é"}) == '{"text":"é"}\n'.encode()


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"12", b'"text"', b"\x00\x00", b'{"a": "\xff"}'])
def test_what_is_no_object_is_none(raw: bytes) -> None:
    assert parse(raw) is None
