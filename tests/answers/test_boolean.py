import pytest

from evalharness.answers.base import build_parser
from evalharness.answers.boolean import BooleanParser
from evalharness.errors import DataError

READ = BooleanParser()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Yes", "yes"),
        ("no.", "no"),
        ("TRUE", "yes"),
        ("It is false", "no"),
        ("No, wait: yes", "yes"),
        ("So the answer is no. Yes, sure.", "no"),
        ("**Answer:** Yes\nThere is no doubt", "yes"),
        ("The answer is unclear. Yes", "yes"),
        # what stands apart goes before words in a sentence
        ("Yes, it is one. It has no wings", "yes"),
        ("No. It is true that birds fly", "no"),
        ("That is true. No", "no"),
        ("There is no doubt that it is true", "yes"),
        # denied, and neither
        ("That is not true", "no"),
        ("It isn't a false claim", "yes"),
        ("The answer is not true", "no"),
        ("Answer yes or no", None),
        ("Yes and no.", None),
        ("True/false: the sun is cold. False", "no"),
        ("I know nothing", None),
        ("untrue", None),
        ("", None),
    ],
)
def test_value(text: str, value: str | None) -> None:
    assert READ.parse(text).value == value


def test_first_and_span() -> None:
    parsed = BooleanParser(which="first").parse("hm, no, yes")
    assert (parsed.value, parsed.span) == ("no", (4, 6))


def test_long_runs_of_white_space_are_no_trouble() -> None:
    assert READ.parse("\n" * 100_000 + "yes" + " " * 100_000).value == "yes"


def test_words_of_ones_own() -> None:
    read = BooleanParser(yes=("plausible", "correct"), no=("implausible", "in correct"))
    assert read.parse("It is implausible").value == "no"
    assert read.parse("That is Plausible").value == "yes"
    assert read.parse("yes").value is None
    assert read.canonical(" IMPLAUSIBLE ") == "no"


def test_canonical() -> None:
    assert [READ.canonical(text) for text in ("True", " yes", "FALSE", "no", "maybe")] == [
        "yes",
        "yes",
        "no",
        "no",
        "maybe",
    ]


def test_a_word_cannot_say_both() -> None:
    with pytest.raises(DataError, match="'yes' cannot say both yes and no"):
        build_parser({"parser": "boolean", "no": ["Yes"]}, "t")
