"""Programs come in pieces that are the program, whatever it is, and in a time that it cannot stretch."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from evidence_for_tests import BIDI, HOSTILE, PROGRAM
from hypothesis import given
from hypothesis import strategies as st

from evalharness.pages.controls import visible
from evalharness.pages.highlight import KINDS, MOST, Highlighter, Language, Pieces


def pieces(text: str, language: Language = "python", budget: int = 10**6, most: int | None = MOST) -> Pieces:
    return Highlighter(budget)(text, language, most=most)


def joined(found: Pieces) -> str:
    return "".join(text for text, _ in found)


def test_a_program_has_its_kinds() -> None:
    found = pieces('def add(x):\n    """Sum."""\n    return len(x) + 0x1f  # so\n')
    told = {kind: text for text, kind in found if kind}
    assert told == {"keyword": "return", "name": "len", "string": '"""Sum."""', "number": "0x1f", "comment": "# so"}
    assert ("def", "keyword") in found
    assert ("add", "name") in found


def test_json_has_its_kinds() -> None:
    found = pieces('{"key": [1, true, "text"]}', "json")
    assert [piece for piece in found if piece[1]] == [
        ('"key"', "name"), ("1", "number"), ("true", "keyword"), ('"text"', "string"),
    ]  # fmt: skip


def test_text_is_plain_but_for_what_is_not_seen() -> None:
    assert pieces("def f\x1b", "text") == [("def f", ""), ("\\x1b", "unseen")]


def test_a_turned_line_is_shown_as_it_runs() -> None:
    found = pieces(BIDI)
    assert [text for text, kind in found if kind == "unseen"] == ["\\u202e", "\\u2066", "\\u2069", "\\u2066"]
    assert joined(found) == visible(BIDI)


fragments = st.lists(
    st.sampled_from(
        ['"', '"""', "'", "\\", "\n", " ", "\t", "(", "{", "}", 'f"', "def ", "class ", "_", "é", "0x", "%(", "\x00",
         "\u202e", "\ud800", "\r\n", "\r", "{x!r:", "lambda", "#", "@", "\\N{", "/*", "true", HOSTILE]
    ),
    max_size=20,
).map("".join)  # fmt: skip


@given(fragments, st.sampled_from(["python", "json", "text"]))
def test_the_pieces_are_the_text(text: str, language: Language) -> None:
    found = pieces(text, language)
    assert joined(found) == visible(text.replace("\r\n", "\n"))
    assert all(kind in ("", *KINDS) for _, kind in found)


def test_of_a_long_text_the_middle_is_left_out_with_a_note() -> None:
    found = pieces("x = 1\n" * 200_000)
    assert len(joined(found)) < MOST + 100
    assert [text for text, kind in found if kind == "note"] == ["\n[... 1,180,000 characters are left out here ...]\n"]
    assert joined(found).startswith("x = 1\n")
    assert joined(found).endswith("x = 1\n")
    assert ("1", "number") in found


def test_all_is_shown_where_all_is_asked_for_and_plain_where_it_is_long() -> None:
    text = "x = 1\n" * 20_000
    assert pieces(text, most=None) == [(text, "")]


def test_what_comes_after_the_budget_is_plain() -> None:
    highlighter = Highlighter(2 * len(PROGRAM))
    colours = [any(kind for _, kind in highlighter(PROGRAM, "python")) for _ in range(3)]
    assert colours == [True, True, False]


# Ten thousand empty lines cost Pygments alone nine seconds.
@pytest.mark.parametrize(
    "unit", [" \n", "\n", "    \n", " \n" * 90 + "x", '"', "(", "\\N{", "{a", "@a.", "match ", '"%(', "\\\n"]
)
def test_no_text_takes_long(unit: str) -> None:
    text = (unit * MOST)[:MOST]
    began = time.process_time()
    assert joined(pieces(text)) == text
    assert time.process_time() - began < 4


def test_pygments_waits_for_the_first_program() -> None:
    code = "import sys, evalharness.viewer.templates, evalharness.report.page; print('pygments' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
