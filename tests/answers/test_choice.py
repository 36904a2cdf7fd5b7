import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.answers.choice import ChoiceParser

READ = ChoiceParser()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("B", "B"),
        ("b", "B"),
        ("B.", "B"),
        ("B. Paris", "B"),
        ("b) Paris", "B"),
        ("(B) Paris", "B"),
        (" (b)", "B"),
        ("**B**", "B"),
        ("B\nbecause A is wrong", "B"),
        ("Answer: B", "B"),
        ("Answer: b", "B"),
        ("The answer is B.", "B"),
        ("The answer is (B), not (C).", "B"),
        ("The answer is **B**", "B"),
        ("The correct answer is option (b).", "B"),
        ("**Answer:** B) Paris. A is wrong.", "B"),
        (r"\boxed{B} and not C", "B"),
        (r"\boxed{\text{B}}", "B"),
        ("The answer is A. Wait: the answer is B.", "B"),
        ("So option (A) is wrong and (B) is right", "B"),
        ("it must be B then", "B"),
        ("I would say C", "C"),
        ("A is a letter, so is D", "D"),
        # no letter
        ("A dog", None),
        ("The answer is a dog", None),
        ("Because", None),
        ("The answer is Because", None),
        ("E", None),
        ("", None),
        ("B's", None),
        ("vitamin-D", None),
    ],
)
def test_value(text: str, value: str | None) -> None:
    assert READ.parse(text).value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A. red\nB. blue\nC. green\nD. white", None),
        ("A) red\n\nB) blue\n\nC) green\n\nBlue, so (B).", "B"),
        ("(A) red\n(B) blue\nI take C", "C"),
        ("Let us see.\n- A: red\n- B: blue\nI take C", "C"),
        ("The options are\nA. red\nB. blue\nThe sky is blue.", "B"),
        ("Answer: A. red\nB. blue", "A"),
        ("A. red\nIt is red.", "A"),
        ("B. blue\nC. green", "B"),
    ],
)
def test_a_list_of_the_options_chooses_none(text: str, value: str | None) -> None:
    assert READ.parse(text, ["red", "blue", "green", "white"]).value == value


def test_a_list_leaves_places_as_they_are() -> None:
    text = "A. red\nB. blue\nSo (C)"
    parsed = READ.parse(text)
    assert parsed.span is not None
    assert text[slice(*parsed.span)] == "C"


def test_first() -> None:
    assert ChoiceParser(which="first").parse("maybe (A), maybe (B)").value == "A"
    assert ChoiceParser(which="last").parse("maybe (A), maybe (B)").value == "B"


def test_the_samples_choices_decide_how_many_letters_count() -> None:
    assert READ.parse("E", ["v", "w", "x", "y", "z"]).value == "E"
    assert READ.parse("C", ["yes", "no"]).value is None
    assert ChoiceParser(letters=5).parse("E").value == "E"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("It is Paris, of course.", "A"),
        ("the answer is new  york.", "B"),
        ("York or New York?", None),  # the longer choice hides the shorter one only where it covers it
        ("Paris or York", None),
        ("Parisians", None),
        ("The answer is 5", "D"),
        ("Paris. But the answer is York.", "C"),
    ],
)
def test_a_choice_is_known_by_its_words(text: str, value: str | None) -> None:
    choices = ["Paris", "New York", "York", "5"]
    assert READ.parse(text, choices).value == value
    if value is not None:
        assert ChoiceParser(by_text=False).parse(text, choices).value is None


def test_the_words_are_placed() -> None:
    text = "Surely NEW, york!"
    parsed = READ.parse(text, ["Paris", "New York"])
    assert parsed.span is not None
    assert text[slice(*parsed.span)] == "NEW, york"


def test_covered_choices_are_hidden() -> None:
    assert READ.parse("not guilty!", ["guilty", "not guilty"]).value == "B"
    assert READ.parse("it's guilty", ["guilty", "not guilty"]).value == "A"


def test_choices_that_are_letters_are_not_known_by_words() -> None:
    assert READ.parse("a day in the sun", ["A", "B", "C", "D"]).value is None


@pytest.mark.parametrize(("target", "value"), [("B", "B"), ("b", "B"), ("(B)", "B"), (" E. ", "E"), ("Paris", "Paris")])
def test_canonical(target: str, value: str) -> None:
    assert READ.canonical(target) == value


@given(
    st.integers(0, 25),
    st.sampled_from(["{}", "({})", "{}.", "**{}**", "The answer is {}.", "Answer: ({})", "\\boxed{{{}}}"]),
)
def test_a_right_letter_is_read_as_the_right_choice(position: int, form: str) -> None:
    choices = [f"choice number {i}" for i in range(26)]
    text = form.format(chr(ord("A") + position))
    assert READ.parse(text, choices).value == READ.canonical_choice(position, choices)
