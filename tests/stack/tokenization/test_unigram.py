"""Scores of a Unigram vocabulary without what is by chance in them."""

from __future__ import annotations

from evalharness.stack.tokenization.unigram import settled


def test_noise_and_the_order_of_rare_letters_are_gone() -> None:
    first = [("the", -2.0), ("a", -3.0), ("q", -9.0), ("z", -8.9999), ("é", -8.9998), ("word", -9.0)]
    other = [("a", -3.0 + 1e-13), ("the", -2.0 - 1e-13), ("é", -9.0), ("z", -8.9998), ("q", -8.9999), ("word", -9.0)]
    expected = [("the", -2.0), ("a", -3.0), ("q", -9.0), ("word", -9.0), ("z", -9.0), ("é", -9.0)]
    assert settled(first, 9) == settled(other, 9) == expected


def test_characters_are_kept_before_better_pieces() -> None:
    pieces = [("the", -2.0), ("an", -3.0), ("a", -4.0), ("q", -9.0)]
    assert settled(pieces, 3) == [("the", -2.0), ("a", -4.0), ("q", -9.0)]
    assert settled(pieces, 1) == [("a", -4.0), ("q", -9.0)]


def test_nothing() -> None:
    assert settled([], 5) == []
