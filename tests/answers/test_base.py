import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.answers.base import Parser, build_parser, pick
from evalharness.answers.number import NumberParser
from evalharness.answers.text import TextParser
from evalharness.errors import DataError
from evalharness.registry import names

MINIMAL: dict[str, dict[str, object]] = {
    "regex": {"parser": "regex", "pattern": "[a-z]+"},
    "verdict": {"parser": "verdict", "labels": ["yes", "no"]},
}


def every_parser() -> list[Parser]:
    return [build_parser(MINIMAL.get(name, name), "test") for name in names("parser")]


@pytest.mark.parametrize("parser", every_parser(), ids=lambda parser: parser.parser)
@given(text=st.text(max_size=80), choices=st.lists(st.text(max_size=8), max_size=5))
def test_parse_never_raises_and_its_span_lies_in_the_text(parser: Parser, text: str, choices: list[str]) -> None:
    parsed = parser.parse(text, choices)
    assert (parsed.value is None) == (parsed.why is not None)
    if parsed.value is not None and parsed.span is not None:
        start, end = parsed.span
        assert 0 <= start <= end <= len(text)
    parser.canonical(text)


ALPHABET = st.sampled_from(
    [*"019.,-$%/ \n()[]{}*:=#^\\ABCDabc\"'", "answer is ", "answer:", "\\boxed{", "\\frac{", "yes", "no"]
)


@pytest.mark.parametrize("parser", every_parser(), ids=lambda parser: parser.parser)
@given(pieces=st.lists(ALPHABET, max_size=30))
def test_parse_never_raises_on_what_looks_like_answers(parser: Parser, pieces: list[str]) -> None:
    text = "".join(pieces)
    parsed = parser.parse(text, ("cat", "a dog"))
    if parsed.value is not None and parser.parser not in ("lm_eval", "text"):
        assert parser.canonical(parsed.value) == parsed.value, "a canonical form is its own canonical form"


def test_votes_go_to_the_majority_and_ties_to_the_earliest() -> None:
    reading = NumberParser().read(["it is 7", "nothing", "so 18.0", "$18", "7"])
    assert reading.parsed.value == "7"
    assert reading.votes == {"7": 2, "18": 2}
    assert NumberParser().read(["7", "18", "18.0"]).parsed.value == "18"


def test_the_winner_keeps_the_place_in_its_own_candidate() -> None:
    assert NumberParser().read(["7", "so 18", "18"]).parsed.span == (3, 5)


def test_without_votes_the_reading_says_why() -> None:
    assert NumberParser().read([]).parsed.why == "there is no text to read"
    assert NumberParser().read(["a", "b"]).votes == {}
    assert NumberParser().read(["a", "b"]).parsed.why == "there is no number in the text"


@given(st.lists(st.sampled_from(["1", "2", "x"]), min_size=1, max_size=12), st.randoms())
def test_votes_do_not_depend_on_the_order(candidates: list[str], random: object) -> None:
    shuffled = list(candidates)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert dict(NumberParser().read(candidates).votes) == dict(NumberParser().read(shuffled).votes)


def test_pick() -> None:
    assert pick(iter("abc"), "first") == "a"
    assert pick(iter("abc"), "last") == "c"
    assert pick(iter(()), "last") is None


def test_a_name_or_a_section_builds_a_parser() -> None:
    assert build_parser("number", "t") == NumberParser()
    assert build_parser({"parser": "number", "words": True}, "t") == NumberParser(words=True)
    assert build_parser(NumberParser(words=True).model_dump(), "t") == NumberParser(words=True)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("numbr", "t: unknown parser 'numbr'; did you mean 'number'?"),
        ({"words": True}, "t: the key 'parser' with the name of a parser is missing."),
        ({"parser": "number", "word": True}, "t: word: unknown key; did you mean 'words'?"),
        ({"parser": "regex"}, "t: pattern: this key is required but missing."),
    ],
)
def test_a_wrong_section_is_refused_in_a_sentence(spec: object, sentence: str) -> None:
    with pytest.raises(DataError) as error:
        build_parser(spec, "t")  # type: ignore[arg-type]
    assert str(error.value) == sentence


def test_a_plugin_that_is_no_parser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalharness.answers.base.lookup", lambda kind, name: dict)
    with pytest.raises(DataError, match="is no Parser class"):
        build_parser("odd", "t")


def test_text_is_stripped_and_placed() -> None:
    parsed = TextParser().parse("  two words \n")
    assert (parsed.value, parsed.span) == ("two words", (2, 11))
    assert TextParser().parse(" \n").why == "the text is empty"
