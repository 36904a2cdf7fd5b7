"""The filters that task files may use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.prompting.text_filters import (
    after,
    before,
    from_json,
    full_stops,
    letter,
    position_of,
    positions_of,
    wikihow_clean,
    wikitext_detokenize,
    without_extensions,
)


@pytest.mark.parametrize(
    ("text", "expected"), [("a #### b #### c ", "c"), ("no mark ", "no mark"), ("####", ""), ("", "")]
)
def test_after_takes_what_follows_the_last_mark(text: str, expected: str) -> None:
    assert after(text, "####") == expected


@pytest.mark.parametrize(("text", "expected"), [(" a # b # c", "a"), ("no mark ", "no mark"), ("#", "")])
def test_before_takes_what_precedes_the_first_mark(text: str, expected: str) -> None:
    assert before(text, "#") == expected


def test_json_with_whole_numbers_of_any_length() -> None:
    assert from_json('{"a": [1, -2.5, null]}') == {"a": [1, -2.5, None]}
    assert from_json(f"[-1{'0' * 5000}]") == [-(10**5000)]


def test_letters() -> None:
    assert [letter(position) for position in range(5)] == ["A", "B", "C", "D", "E"]


def test_position_of() -> None:
    assert position_of(["1", "2", "3"], "3") == 2
    with pytest.raises(ValueError, match="not in list"):
        position_of(["1"], "2")


def test_positions_of() -> None:
    assert positions_of([1, 0, 1, 0], 1) == [0, 2]
    assert positions_of([0], 1) == []


def test_full_stops() -> None:
    assert full_stops([" It is so ", "No.", "", "  ", "Really?"]) == ["It is so.", "No.", "Really?."]


def test_a_text_that_begins_with_another_one_is_left_out() -> None:
    assert without_extensions(["Portuguese Language", "Guarani", "Portuguese"]) == ["Guarani", "Portuguese"]
    assert without_extensions(["ab", "a", "b", "abc"]) == ["a", "b"]
    assert without_extensions([]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[header] Bake [title] Heat [step] it.", " Bake. Heat it."),
        ("a    b", "a  b"),
        ("a [b [c] d] e", "a d] e"),
        (" x ", "x"),
    ],
)
def test_wikihow_clean(text: str, expected: str) -> None:
    assert wikihow_clean(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 @,@ 902 @.@ 5 well @-@ known", "1,902.5 well-known"),
        ('a " quoted " word ( in brackets ) , here .', 'a "quoted" word (in brackets), here .'),
        (" = = Heron = = \n", " == Heron ==\n"),
        ("the bird 's wing", "the bird's wing"),
        ("the boys ' club 's", "the boys'club's"),  # the published rule takes the two marks for quotes
        ("", ""),
    ],
)
def test_wikitext_detokenize(text: str, expected: str) -> None:
    assert wikitext_detokenize(text) == expected


@given(st.text("ab c", max_size=30))
def test_plain_words_are_left_alone(text: str) -> None:
    """But for a double space, which HellaSwag's clean-up shrinks."""
    assert wikitext_detokenize(text) == text
    assert wikihow_clean(text) == text.strip().replace("  ", " ")
