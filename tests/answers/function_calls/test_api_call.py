"""The line of code in Gorilla's answers."""

from __future__ import annotations

import pytest

from evalharness.answers.base import build_parser
from evalharness.errors import DataError


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<<<domain>>>: X, <<<api_call>>>: lib.load('a'), <<<api_provider>>>: Y, <<<code>>>: z()", "lib.load('a')"),
        ("'api_call': 'lib.load(1)', 'api_provider': 'Y'", "'lib.load(1)"),
        ("<<<api_call>>>: lib.load('a')", "lib.load('a')"),
        ("<<<api_call>>>: f(1) <<<api_call>>>: g(2)", "f(1)"),
        ("<<<api_call>>>: nothing here", "nothing her"),
        ("api_call lib.load('a')", "ib.load('a')"),
        ("<<<api_call>>>:", ""),
        ("lib.load('a')", "lib.load('a')"),
        ("", ""),
    ],
)
def test_what_is_cut_out(text: str, code: str) -> None:
    parsed = build_parser("api_call", "answer").parse(text)
    assert parsed.value == code
    assert parsed.span is not None
    assert text[slice(*parsed.span)] == code


def test_other_tags_and_none() -> None:
    strict = build_parser({"parser": "api_call", "otherwise": "nothing"}, "answer")
    assert strict.parse("lib.load('a')").why == "no call: 'api_call' is not in the text"
    survey = build_parser({"parser": "api_call", "begin": "API_CALL", "end": "API_PROVIDER"}, "answer")
    assert survey.parse("<<<API_CALL>>>: f(1), <<<API_PROVIDER>>>: Y").value == "f(1)"
    with pytest.raises(DataError, match="must not hold each other"):
        build_parser({"parser": "api_call", "begin": "api", "end": "api_provider"}, "answer")
