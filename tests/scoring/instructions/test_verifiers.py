"""Each kind of instruction, followed and not, with what is said of it. Held against lm-eval in tests/parity."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.errors import DataError
from evalharness.scoring.instructions.follow import VERIFIERS, follow, variants

CASES: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"},
     "NASA is OK.", None),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"}, "NASA is OK.",
     "2 words in capitals, not less than 2"),
    ("change_case:english_capital", {}, "THE RIVER RUNS THROUGH THE VALLEY AND IT IS COLD", None),
    ("change_case:english_capital", {}, "The river", "not all in capitals"),
    ("change_case:english_lowercase", {}, "the river runs through the valley and it is cold", None),
    ("change_case:english_lowercase", {}, "la rivière traverse la vallée et il fait très froid",
     "its language is 'fr', not 'en'"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Why? "}, " why? Because.", None),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Why?"}, "Well: why?", "does not begin with the request"),
    ("combination:two_responses", {}, "One.\n******\nTwo.", None),
    ("combination:two_responses", {}, "One.\n******\nOne.", "the two responses are the same"),
    ("combination:two_responses", {}, "One.\n******\n\n******\nTwo.", "a response in the middle is empty"),
    ("combination:two_responses", {}, "One.", "1 responses, not 2"),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] and [b]", None),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] and [b", "1 placeholders, not at least 2"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye\np. s. one more", None),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "P.S. one", "without a postscript 'P.P.S'"),
    ("detectable_format:constrained_response", {}, "Well. My answer is maybe.", None),
    ("detectable_format:constrained_response", {}, "Maybe.", "with none of the three answers"),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', None),
    ("detectable_format:json_format", {}, "{a: 1}", "no valid JSON"),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2},
     "Section 1\na\nSection 2\nb", None),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2}, "Section A",
     "0 sections, not at least 2"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n  - b\n** c", None),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "* a\n* b", "2 bullet points, not 1"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b**", None),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "** and * *",
     "0 highlighted passages, not at least 1"),
    ("detectable_format:title", {}, "<<On rivers>>\ntext", None),
    ("detectable_format:title", {}, "<< >>", "without a title in double angular brackets"),
    ("keywords:existence", {"keywords": ["River", "cold"]}, "rivers are cold", None),
    ("keywords:existence", {"keywords": ["river", "cold"]}, "rivers", "without 'cold'"),
    ("keywords:forbidden_words", {"forbidden_words": ["river"]}, "rivers", None),
    ("keywords:forbidden_words", {"forbidden_words": ["river"]}, "A River.", "with 'river'"),
    ("keywords:frequency", {"keyword": "river", "frequency": 2, "relation": "at least"}, "River, rivers", None),
    ("keywords:frequency", {"keyword": "river", "frequency": 2, "relation": "at least"}, "river",
     "1 times 'river', not at least 2"),
    ("keywords:letter_frequency", {"letter": "E", "let_frequency": 2, "let_relation": "less than"}, "one two", None),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": "at least"}, "#",
     "1 times '#', not at least 2"),
    ("language:response_language", {"language": "fr"}, "La rivière traverse la vallée et il fait froid.", None),
    ("language:response_language", {"language": "fr"}, "1234", None),
    ("language:response_language", {"language": "fr"}, "The river runs through the valley.",
     "its language is 'en', not 'fr'"),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"},
     "First.\n\n\"then, it\" rained", None),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "then"},
     "First.\n\nthen", "paragraph 1 begins with 'first'"),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 3, "nth_paragraph": 1, "first_word": "first"},
     "First.\n\nthen", "2 paragraphs, not 3"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb\n***\n", None),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\n\n***\nb",
     "a paragraph in the middle is empty"),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "less than"},
     "Dr. Ames left. She ran!", None),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "at least"}, "Dr. Ames left. She ran!",
     "2 sentences, not at least 3"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "It's late", None),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "late", "1 words, not at least 3"),
    ("punctuation:no_comma", {}, "no; none", None),
    ("punctuation:no_comma", {}, "one, two", "with a comma"),
    ("startend:end_checker", {"end_phrase": "That is all."}, '"Yes. that is ALL."', None),
    ("startend:end_checker", {"end_phrase": "That is all."}, "That is all. Bye", "does not end with 'That is all.'"),
    ("startend:quotation", {}, ' "a" ', None),
    ("startend:quotation", {}, '"', "not between double quotation marks"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "arguments", "response", "problem"), CASES)
def test_case(id: str, arguments: dict[str, Any], response: str, problem: str | None) -> None:
    assert VERIFIERS[id](response, **arguments) == problem


def test_every_kind_has_a_response_that_follows_and_one_that_does_not() -> None:
    for wanted in (True, False):
        assert {id for id, _, _, problem in CASES if (problem is None) is wanted} == set(VERIFIERS)


@given(st.text(max_size=200))
def test_no_response_makes_a_verifier_fail(response: str) -> None:
    for id, arguments, _, _ in CASES:
        assert isinstance(VERIFIERS[id](response, **arguments), str | None)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "response", ["\n" * 20_000, " " * 20_000, "[" * 8_000, "*" * 20_000, "<<" * 4_000, "p." * 9_000]
)
def test_long_monotonous_responses_take_no_time_to_speak_of(response: str) -> None:
    for id, arguments, _, _ in CASES:
        VERIFIERS[id](response, **arguments)


# --------------------------------------------------------------------------- strict and loose


def target(*instructions: tuple[str, dict[str, Any] | None]) -> str:
    return json.dumps({"ids": [id for id, _ in instructions], "arguments": [given for _, given in instructions]})


def test_the_loose_criterion_forgives_a_line_before_a_line_after_and_stars() -> None:
    wanted = target(("startend:quotation", {}), ("punctuation:no_comma", None))
    found = follow(wanted, 'Sure, here it is:\n**"So it is"**\nBye')
    assert (found.strictly, found.loose) == ((False, False), (True, True))
    assert found.strict[1] == "with a comma"


def test_variants_are_told_apart_and_never_empty() -> None:
    assert variants("a\nb\nc") == ["b\nc", "a\nb", "b"]
    assert variants("*a*\nb") == ["b", "*a*", "a\nb", "a"]
    assert variants("a") == variants("") == variants("\n\n") == []


@given(st.text(alphabet="ab*\n ", max_size=30))
def test_what_is_followed_strictly_is_followed_loosely(response: str) -> None:
    found = follow(target(("detectable_format:number_bullet_lists", {"num_bullets": 1})), response)
    assert found.loose >= found.strictly


def test_an_empty_response_follows_nothing() -> None:
    found = follow(target(("punctuation:no_comma", {})), " \n")
    assert (found.strict, found.loose) == (("the response is empty",), (False,))


def test_null_arguments_are_left_out() -> None:
    given = {"num_bullets": 1, "keywords": None, "relation": None}
    assert follow(target(("detectable_format:number_bullet_lists", given)), "* a").strictly == (True,)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("{}", "is not the JSON of instructions"),
        ("no", "is not the JSON of instructions"),
        ('{"ids": [], "arguments": []}', "0 ids"),
        ('{"ids": ["punctuation:no_comma"], "arguments": []}', "1 ids of instructions and 0"),
        (target(("punctuation:no_commas", {})), "unknown instruction 'punctuation:no_commas'; did you mean"),
        (target(("punctuation:no_comma", {"commas": 2})), "other arguments than its kind takes"),
        (target(("length_constraints:number_words", {"num_words": 2})), "other arguments than its kind takes"),
        (target(("length_constraints:number_words", {"num_words": 2, "relation": "at most"})), "relation is 'at most'"),
    ],
)
def test_a_target_that_is_no_list_of_instructions_is_refused(wanted: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        follow(wanted, "some words")
