"""The script of a letter by its name in Unicode."""

from __future__ import annotations

import pytest

from evalharness.stack.tokenization.scripts import script_of


@pytest.mark.parametrize(
    ("letters", "script"),
    [
        ("aÉßŁ", "Latin"),
        ("λΩ", "Greek"),
        ("яЖ", "Cyrillic"),
        ("日本", "CJK"),
        ("ひ", "Hiragana"),
        ("カ", "Katakana"),
        ("ｶ", "Katakana"),
        ("Ａ", "Latin"),
        ("한", "Hangul"),
        ("ש", "Hebrew"),
        ("ع", "Arabic"),
        ("भ", "Devanagari"),
        ("ก", "Thai"),
    ],
)
def test_letters(letters: str, script: str) -> None:
    assert {script_of(letter) for letter in letters} == {script}


@pytest.mark.parametrize("character", ["7", " ", ".", "🙂", "\n", "\u0301", "\x00"])
def test_what_is_no_letter(character: str) -> None:
    assert script_of(character) is None
