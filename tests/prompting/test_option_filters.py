"""Options and passages that a data set holds in one text."""

from __future__ import annotations

import pytest

from evalharness.prompting.option_filters import lettered_texts, mathqa_options, without_context_marks


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ("A. iron\nB. wood", ["iron", "wood"]),
        ("\nA. iron \nB.  wood\n", ["iron", "wood"]),
        ("A. one\nof two lines\nB. B. Brown\nC. ", ["one\nof two lines", "B. Brown", ""]),
        ("A. x\nC. y\nB. z", ["x\nC. y", "z"]),
        ("A. only", ["only"]),
    ],
)
def test_lettered_texts(options: str, texts: list[str]) -> None:
    assert lettered_texts(options) == texts


@pytest.mark.parametrize("options", ["", "iron, wood", "B. iron\nC. wood", "note\nA. iron"])
def test_what_has_no_letters(options: str) -> None:
    with pytest.raises(ValueError, match=r"options are written as lines that begin with 'A\.'"):
        lettered_texts(options)


def test_context_marks_go_from_the_beginnings_of_lines() -> None:
    passage = "Context (1): One.\nContext (12): Two, as Context (1): says.\nThree."
    assert without_context_marks(passage) == "One.\nTwo, as Context (1): says.\nThree."


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (
            "a ) 38 , b ) 27.675 , c ) 30 , d ) data inadequate , e ) none of these",
            ["38", "27.675", "30", "data inadequate", "none of these"],
        ),
        ("a ) 1 : 2 , b ) rs . 4,200 , c ) x , d ) y , e ) 5", ["1 : 2", "rs . 4,200", "x", "y", "5"]),
    ],
)  # fmt: skip
def test_mathqa_options(options: str, texts: list[str]) -> None:
    assert mathqa_options(options) == texts
