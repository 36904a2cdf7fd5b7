import pytest

from evalharness.answers.base import build_parser
from evalharness.answers.regex import RegexParser
from evalharness.errors import DataError


@pytest.mark.parametrize(
    ("options", "text", "value", "span"),
    [
        ({"pattern": r"\d+"}, "1 or 22", "22", (5, 7)),
        ({"pattern": r"\d+", "which": "first"}, "1 or 22", "1", (0, 1)),
        ({"pattern": r"is (\w+) of (\w+)"}, "is a of b", "a", (3, 4)),
        ({"pattern": r"is (\w+) of (\w+)", "group": 2}, "is a of b", "b", (8, 9)),
        ({"pattern": r"is (\w+) of (\w+)", "group": 0}, "is a of b", "is a of b", (0, 9)),
        ({"pattern": r"is (?P<answer>.*)$", "group": "answer"}, "is  b ", "b", (4, 5)),
    ],
)
def test_value(options: dict[str, object], text: str, value: str, span: tuple[int, int]) -> None:
    parsed = RegexParser.model_validate(options).parse(text)
    assert (parsed.value, parsed.span) == (value, span)


def test_why_nothing_was_found() -> None:
    assert RegexParser(pattern=r"\d").parse("x").why == r"nothing matches \d"
    assert RegexParser(pattern=r"x(y)?").parse("x").why == "the group 1 of x(y)? took no part in the match"
    assert RegexParser(pattern=r"x(y*)").parse("x").why == "what matches x(y*) is empty"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"pattern": "("},
            "t: pattern: '(' is no regular expression: missing ), unterminated subpattern at position 0.",
        ),
        ({"pattern": "(a)", "group": 2}, "t: group: '(a)' has no group 2."),
        ({"pattern": "(a)", "group": "x"}, "t: group: '(a)' has no group 'x'."),
    ],
)
def test_a_wrong_expression_is_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(DataError) as error:
        build_parser({"parser": "regex", **options}, "t")
    assert str(error.value) == sentence
