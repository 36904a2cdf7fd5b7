"""Every filter against lm-eval's own, on made texts."""

from typing import Any

import lm_eval.filters  # noqa: F401  (registers them)
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval.api.registry import get_filter

from evalharness.answers.base import build_parser
from evalharness.answers.lm_eval import LmEvalParser
from evalharness.errors import DataError

STRICT = r"#### (\-?[0-9\.\,]+)"
FLEXIBLE = r"(-?[$0-9.,]{2,})|(-?[0-9]+)"
COT = r"The answer is (\-?[0-9\.\,]+)."
BBH = r"(?<=the answer is )(.*)(?=.)"

TEXT = st.lists(
    st.sampled_from(
        [
            *"0189.,-$ \n()[]:!?ABCDab",
            "#### ",
            "The answer is ",
            "the answer is ",
            "Guilty",
            " of Romance",
            "[invalid]",
            "É",
        ]
    ),
    max_size=14,
).map("".join)


def theirs(steps: list[dict[str, Any]], texts: list[str], choices: tuple[str, ...] = ()) -> object:
    responses: Any = [list(texts)]
    for step in steps:
        options = {key: value for key, value in step.items() if key != "function"}
        responses = get_filter(step["function"])(**options).apply(responses, [{"choices": choices}])
    (left,) = list(responses)
    return left if isinstance(left, str) or left is None else left[0]


def ours(steps: list[dict[str, Any]], texts: list[str], choices: tuple[str, ...] = ()) -> str | None:
    return LmEvalParser.model_validate({"filters": steps}).read(texts, choices).parsed.value


CHAINS: list[list[dict[str, Any]]] = [
    [],
    [{"function": "take_first"}],
    [{"function": "regex"}, {"function": "take_first"}],
    [{"function": "regex", "regex_pattern": STRICT}, {"function": "take_first"}],
    [{"function": "regex", "regex_pattern": FLEXIBLE, "group_select": -1}, {"function": "take_first"}],
    [{"function": "regex", "regex_pattern": COT}],
    [{"function": "regex", "regex_pattern": BBH}],
    [{"function": "regex", "regex_pattern": r"(\()?([A-D])?(\))?", "group_select": 0, "fallback": "none"}],
    [{"function": "remove_whitespace"}, {"function": "lowercase"}, {"function": "take_first"}],
    [{"function": "uppercase"}, {"function": "regex", "regex_pattern": "[A-D]+"}, {"function": "remove_whitespace"}],
    [
        {"function": "regex", "regex_pattern": "[AB]"},
        {"function": "map", "mapping_dict": {"A": "0"}, "default_value": "?"},
    ],
    [{"function": "regex", "regex_pattern": "[AB]"}, {"function": "lowercase"}],
    [
        {"function": "take_first_k", "k": 2},
        {"function": "regex"},
        {"function": "majority_vote"},
        {"function": "take_first"},
    ],
    [{"function": "regex", "regex_pattern": FLEXIBLE, "group_select": -1}, {"function": "majority_vote"}],
]


@pytest.mark.parametrize("steps", CHAINS, ids=lambda steps: "-".join(step["function"] for step in steps) or "none")
@given(texts=st.lists(TEXT, min_size=2, max_size=5))
def test_filters_give_what_lm_evals_give(steps: list[dict[str, Any]], texts: list[str]) -> None:
    expected = theirs(steps, texts)
    assert (ours(steps, texts) if ours(steps, texts) is not None else "[invalid]") == expected


@settings(deadline=None, max_examples=25)  # lm-eval's filter walks through all of Unicode at every call
@given(texts=st.lists(TEXT, min_size=1, max_size=3), case=st.booleans(), punctuation=st.booleans(), strip=st.booleans())
def test_multi_choice_regex_gives_what_lm_evals_gives(
    texts: list[str], case: bool, punctuation: bool, strip: bool
) -> None:
    steps = [
        {
            "function": "multi_choice_regex",
            "regex_pattern": r"(\([A-D]\))",
            "ignore_case": case,
            "ignore_punctuation": punctuation,
            "regexes_to_ignore": [r"[\$,]"] if strip else [],
        }
    ]
    choices = ("Guilty", "Guilty of Romance", "$1", "É!")
    assert (ours(steps, texts, choices) or "[invalid]") == theirs(steps, texts, choices)


def test_published_regexes_lose_what_lm_eval_loses() -> None:
    assert ours([{"function": "regex", "regex_pattern": COT}], ["The answer is 18"]) == "1"
    assert ours([{"function": "regex", "regex_pattern": BBH}], ["the answer is True"]) == "Tru"


def test_invalid_is_unparsed_and_another_fallback_is_a_value() -> None:
    step = {"function": "regex", "regex_pattern": r"\d"}
    parsed = LmEvalParser.model_validate({"filters": [step]}).parse("x")
    assert (parsed.value, parsed.why) == (None, r"nothing matches \d")
    assert ours([{**step, "fallback": "0"}], ["x"]) == "0"
    assert ours([step, {"function": "uppercase"}], ["x"]) is None
    assert ours([step, {"function": "map", "mapping_dict": {"[invalid]": "none"}}], ["x"]) == "none"


def test_map_without_a_default_is_unparsed() -> None:
    parsed = LmEvalParser.model_validate({"filters": [{"function": "map", "mapping_dict": {"a": "b"}}]}).parse("x")
    assert parsed.why == "'x' is not in mapping_dict"


def test_spans_lead_back_to_the_text() -> None:
    parser = LmEvalParser.model_validate(
        {"filters": [{"function": "lowercase"}, {"function": "regex", "regex_pattern": "is(.*)"}]}
    )
    text = "It IS  Paris "
    span = parser.parse(text).span
    assert span is not None
    assert text[slice(*span)] == "Paris"


def test_votes_are_those_of_the_majority_filter() -> None:
    steps = [{"function": "regex", "regex_pattern": r"\d"}, {"function": "majority_vote"}]
    reading = LmEvalParser.model_validate({"filters": steps}).read(["1", "2", "x", "2"])
    assert (reading.parsed.value, reading.votes) == ("2", {"1": 1, "2": 2})


def test_too_few_texts_are_unparsed() -> None:
    parser = LmEvalParser.model_validate({"filters": [{"function": "take_first_k", "k": 8}]})
    assert parser.parse("x").why == "take_first_k needs 8 texts a sample, but there are 1"


def test_a_group_that_is_not_there_is_the_fallback_and_not_an_error() -> None:
    assert ours([{"function": "regex", "regex_pattern": r"\d", "group_select": 1}], ["7"]) is None


def test_the_section_survives_a_dump() -> None:
    parser = LmEvalParser.model_validate({"filters": CHAINS[4]})
    assert build_parser(parser.model_dump(), "t") == parser


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        ([{"function": "regx"}], "t: filters: filter 1: unknown filter 'regx'; did you mean 'regex'?"),
        ([{"k": 3}], "t: filters: filter 1: the key 'function' with the name of a filter is missing."),
        (
            [{"function": "lowercase"}, {"function": "regex", "regex_patern": "x"}],
            "t: filters: filter 2 (regex): regex_patern: unknown key; did you mean 'regex_pattern'?",
        ),
        (
            [{"function": "take_first"}, {"function": "lowercase"}],
            "t: filters: filters: take_first must be the last step.",
        ),
        ("regex", "t: filters: the filters are a list of {function: name, ...}."),
    ],
)
def test_wrong_filters_are_refused(filters: object, sentence: str) -> None:
    with pytest.raises(DataError) as error:
        build_parser({"parser": "lm_eval", "filters": filters}, "t")
    assert str(error.value) == sentence
