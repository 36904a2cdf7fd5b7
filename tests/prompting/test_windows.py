"""Sliding windows score every token of a document once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.prompting.windows import sliding_windows

PREFIX = -1


@settings(max_examples=200)
@given(length=st.integers(1, 80), max_length=st.integers(1, 30))
def test_every_token_is_scored_once_and_in_its_context(length: int, max_length: int) -> None:
    ids = list(range(length))
    windows = list(sliding_windows(ids, PREFIX, max_length))
    assert [token for window, start in windows for token in window[start:]] == ids
    for window, start in windows:
        assert 1 <= start < len(window) <= max_length + 1
        first = window[start]
        expected = [PREFIX, *ids][: first + 1][-start:]
        assert list(window[:start]) == expected


def test_a_document_that_fits_is_one_window() -> None:
    assert list(sliding_windows([5, 6, 7], PREFIX, 3)) == [((PREFIX, 5, 6, 7), 1)]


def test_the_last_window_is_filled_from_the_left() -> None:
    assert list(sliding_windows([1, 2, 3, 4], PREFIX, 3)) == [((PREFIX, 1, 2, 3), 1), ((1, 2, 3, 4), 3)]


def test_an_empty_document_scores_nothing() -> None:
    assert [window[start:] for window, start in sliding_windows([], PREFIX, 3)] in ([], [()])
