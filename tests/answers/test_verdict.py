from __future__ import annotations

import pytest

from evalharness.answers.base import build_parser
from evalharness.answers.verdict import VerdictParser
from evalharness.errors import DataError

LETTERS = VerdictParser(labels={"first": ("[[A]]",), "second": ("[[B]]",), "tie": ("[[C]]",)}, which="only")
WORDS = VerdictParser(labels=("correct", "incorrect"))
OUTPUTS = VerdictParser(labels={"first": ("Output (a)",), "second": ("Output (b)",)})
MODELS = VerdictParser(labels={"first": ("m",), "second": ("M",)}, ignore_case=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Both are short. Assistant A is right, so [[A]].", "first"),
        ("My verdict: [[B]]\n[[B]]", "second"),
        ("[[ A ]]", None),
        ("[[C]]", "tie"),
        ("[A]", None),
        ("[[A]] or maybe [[B]]", None),
        ("The first one is better.", None),
        ("Die Antwort von Assistent B ist besser.", None),
        ("助手A更好", None),
        ("", None),
        ("   \n", None),
        ("I would not [[A]]", None),
        ('Say "[[A]]" if assistant A is better, "[[B]]" if assistant B is better', None),
    ],
)  # fmt: skip
def test_letters_in_double_brackets(text: str, value: str | None) -> None:
    assert LETTERS.parse(text).value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("CORRECT", "correct"),
        ("INCORRECT", "incorrect"),
        ("This is incorrect.", "incorrect"),
        ("It is not correct.", None),
        ("It isn't the correct one", None),
        ("It isn’t correct, it is incorrect", "incorrect"),
        ("correct? incorrect?", None),
        ("correctness matters", None),
        ("Nothing to see here.", None),
        ("正确", None),
    ],
)
def test_words_are_whole_and_a_denied_one_says_nothing(text: str, value: str | None) -> None:
    assert WORDS.parse(text).value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Output (a)", "first"),
        (" output (B) is better", "second"),
        ("Output (a) and Output (b) are both good", None),
        ("Output a", None),
        ("(b)", None),
        ("Sorry, I cannot decide.", None),
    ],
)
def test_names_of_outputs(text: str, value: str | None) -> None:
    assert OUTPUTS.parse(text).value == value


def test_case_may_matter() -> None:
    assert [MODELS.parse(text).value for text in ("m", "M", "mM", "The best is M.", "I am")] == [
        "first", "second", None, "second", None,
    ]  # fmt: skip


def test_of_several_verdicts_the_first_or_the_last_on_request() -> None:
    text = "[[A]] at first sight, yet [[B]] in the end"
    labels: dict[str, tuple[str, ...]] = {"first": ("[[A]]",), "second": ("[[B]]",)}
    assert VerdictParser(labels=labels, which="first").parse(text).value == "first"
    last = VerdictParser(labels=labels, which="last").parse(text)
    assert (last.value, last.span) == ("second", (26, 31))
    assert LETTERS.parse(text).why == "the text says first and second"
    assert WORDS.parse("well").why == "the text says none of correct, incorrect"


def test_longer_spellings_go_first() -> None:
    read = VerdictParser(labels={"yes": ("yes",), "perhaps": ("yes and no",)})
    assert read.parse("Yes and no.").value == "perhaps"
    assert read.canonical(" YES AND NO ") == "perhaps"


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        (["yes", "Yes"], "'yes' is spelled twice"),
        ({"a": ["x"], "b": []}, "the list is empty"),
        (["yes"], "labels"),
        ([], "labels"),
        (["yes", " "], "labels"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(labels: object, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        build_parser({"parser": "verdict", "labels": labels}, "t")
