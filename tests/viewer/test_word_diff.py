"""Marked words: together the parts are the text, and what is not marked is the same on both sides."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from evalharness.viewer.word_diff import Pieces, word_diff

TEXTS = st.lists(st.sampled_from(["one", "two", " ", "\n", ".", "ü", "3.5"]), max_size=12).map("".join)


def whole(pieces: Pieces) -> str:
    return "".join(text for text, _ in pieces)


def unmarked(pieces: Pieces) -> str:
    return "".join(text for text, marked in pieces if not marked)


@given(TEXTS, TEXTS)
def test_parts_are_the_text_and_the_rest_is_common(old: str, new: str) -> None:
    before, after = word_diff(old, new)
    assert (whole(before), whole(after)) == (old, new)
    assert unmarked(before) == unmarked(after)


def test_only_the_word_that_differs_is_marked() -> None:
    before, after = word_diff("It is 7 in all.", "It is 70 in all.")
    assert [text for text, marked in before if marked] == ["7"]
    assert [text for text, marked in after if marked] == ["70"]


def test_equal_texts_have_no_mark() -> None:
    assert word_diff("the same", "the same")[0] == [("the same", False)]


def test_long_texts_with_nothing_in_common_take_no_seconds() -> None:
    began = time.process_time()
    old, new = " ".join(f"a{n}" for n in range(20_000)), " ".join(f"b{n}" for n in range(20_000))
    before, _ = word_diff(f"same {old} end", f"same {new} end")
    assert time.process_time() - began < 2
    assert unmarked(before) == "same  end"
