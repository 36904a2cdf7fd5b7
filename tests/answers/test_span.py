import pytest

from evalharness.answers.span import SpanParser

READ = SpanParser()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Paris", "Paris"),
        ("Paris.\nIt is in France.", "Paris"),
        ("\n\n  Paris \n", "Paris"),
        ('So the answer is "nk".', "nk"),
        ('The answer is "nk". I hope this helps.', "nk"),
        ("The answer is “J. K. Rowling”.", "J. K. Rowling"),
        ("The answer is J. K. Rowling.", "J. K. Rowling"),
        ("**Answer:** Paris\nmore", "Paris"),
        ("Answer:\nParis", "Paris"),
        (r"\boxed{two words}", "two words"),
        ("The answer is Rome. No: the answer is Paris.", "Paris"),
        ("don't know", "don't know"),
        ("", None),
        ("  \n ", None),
    ],
)
def test_value(text: str, value: str | None) -> None:
    parsed = READ.parse(text)
    assert parsed.value == value
    if parsed.span is not None:
        assert text[slice(*parsed.span)] == value


def test_what_is_read_without_a_marker() -> None:
    text = "first\n\nsecond.\n"
    assert SpanParser(otherwise="last_line").parse(text).value == "second"
    assert SpanParser(otherwise="nothing").parse(text).why == "there is no marker with a text behind it"
    assert SpanParser(otherwise="nothing").parse("answer: x").value == "x"


def test_canonical_trims_a_target_alike() -> None:
    assert READ.canonical(' "Paris." ') == "Paris"
    assert READ.canonical("U.S.") == "U.S"
    assert READ.canonical("") == ""
