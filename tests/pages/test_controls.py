"""Characters that nobody sees are spelled; everything else stays as it is."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.pages.controls import parts, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("\x9b31m\x07", "\\x9b31m\\x07"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("\u200b\ufeff\xad", "\\u200b\\ufeff\\xad"),
        ("tag \U000e0041", "tag \\U000e0041"),
        ("half \ud800", "half \\ud800"),
        ("back\rover", "back\\rover"),
        ("line\r\nline\n\ttab", "line\r\nline\n\ttab"),
        ("שלום नमस्ते می‌خواهم 👩‍💻 é", "שלום नमस्ते می‌خواهم 👩‍💻 é"),
    ],
)
def test_what_is_not_seen_is_spelled(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert "".join(part for part, _ in parts(text)) == shown


@given(st.text(st.characters(blacklist_categories=()), max_size=30))
def test_a_terminal_and_utf_8_can_take_what_is_left(text: str) -> None:
    left = visible(text).replace("\r\n", "").replace("\n", "").replace("\t", "")
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in left)
    assert not any(unicodedata.bidirectional(character) in _DIRECTIONS for character in left)
    left.encode()


_DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_parts_say_which_of_them_are_spelled() -> None:
    assert list(parts("a\x00b")) == [("a", False), ("\\x00", True), ("b", False)]
    assert list(parts("")) == []
