import collections
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api.metrics import exact_match_hf_evaluate

from evalharness.answers.base import Parser, build_parser
from evalharness.errors import DataError
from evalharness.scoring.match import F1, ExactMatch, LmEvalExactMatch
from evalharness.types import Attempt, Parsed, Reference

NOTHING = Attempt(calls=())


def match(metric: ExactMatch, text: str, target: object, parser: str = "text", choices: tuple[str, ...] = ()) -> float:
    read: Parser = build_parser(parser, "t")
    reference = Reference(target=target, choices=choices)  # type: ignore[arg-type]
    return metric.score(NOTHING, reference, read.parse(text, choices), read).value


@pytest.mark.parametrize(
    ("parser", "text", "target", "value"),
    [
        ("number", "It costs $18.00.", "18", 1.0),
        ("number", "18", "1,8", 0.0),
        ("number", "0.75", "3/4", 1.0),
        ("number", "1000", "so 9 + 991\n#### 1,000", 1.0),
        ("number", "18", 18, 1.0),
        ("choice", "the answer is (b)", "B", 1.0),
        ("boolean", "Yes", "True", 1.0),
        ("text", "Paris", "paris", 0.0),
        ("text", "Paris", ("Rome", "Paris"), 1.0),
        ("text", "Paris", ("Rome", "Oslo"), 0.0),
    ],
)
def test_exact_match(parser: str, text: str, target: object, value: float) -> None:
    assert match(ExactMatch(), text, target, parser) == value


def test_exact_match_ignores_only_what_it_is_told_to() -> None:
    assert match(ExactMatch(ignore_case=True), "PARIS", "paris") == 1.0
    assert match(ExactMatch(ignore_case=True), "Paris!", "paris") == 0.0
    assert match(ExactMatch(ignore_punctuation=True), "U.S.", "US") == 1.0
    assert match(ExactMatch(ignore_articles=True), "The  Hague", "Hague") == 1.0
    assert match(ExactMatch(ignore_articles=True), "Theo", "o") == 0.0


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        ("0.30000000000000004", "0.3", 1.0),
        ("-18.0009", "-18", 1.0),
        ("18.001", "18", 0.0),
        ("17.999", "18", 0.0),
        ("17.9991", ("3", "18"), 1.0),
        ("1/3", "0.3333", 1.0),
        ("18", "-18", 0.0),
        ("nothing", "0", 0.0),
    ],
)
def test_numbers_within_a_tolerance_are_equal(text: str, target: object, value: float) -> None:
    assert match(ExactMatch(tolerance=0.001), text, target, "number") == value


@pytest.mark.parametrize("text", ["1e999999999", "9" * 100_000, "1/0", "1_0", "inf", "nan", "٣"])
def test_a_tolerance_takes_no_time_over_what_is_no_number(text: str) -> None:
    """Of any text that a parser may hand over; the same text is equal to itself, by its letters."""
    metric = ExactMatch(tolerance=0.001)
    assert metric.score(NOTHING, Reference(target="10"), Parsed(text), None).value == 0.0
    assert metric.score(NOTHING, Reference(target=text), Parsed(text), None).value == 1.0


def test_a_tolerance_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        ExactMatch(tolerance=0.0)


def test_the_position_of_a_choice_is_its_letter_or_its_text() -> None:
    assert match(ExactMatch(), "B", 1, "choice", ("Rome", "Paris")) == 1.0
    assert match(ExactMatch(), "it is Paris", 1, "choice", ("Rome", "Paris")) == 1.0
    assert match(ExactMatch(), "Paris", 1, "text", ("Rome", "Paris")) == 1.0


def test_no_answer_scores_zero_and_says_why() -> None:
    for metric in (ExactMatch(), F1(), LmEvalExactMatch()):
        score = metric.score(NOTHING, Reference(target=""), Parsed(None, why="nothing there"), None)
        assert (score.value, score.explanation) == (0.0, "nothing there")


@pytest.mark.parametrize("target", [None, ()])
def test_no_target_is_an_error(target: object) -> None:
    for metric in (ExactMatch(), F1(), LmEvalExactMatch()):
        with pytest.raises(DataError, match="no target"):
            metric.score(NOTHING, Reference(target=target), Parsed("x"), None)  # type: ignore[arg-type]


def test_chance_is_unknown_for_free_answers() -> None:
    assert ExactMatch().chance(Reference(target="x")) is None


WORDS = st.lists(st.sampled_from(["the", "a", "An", "cat", "Cat", "cat.", "dog", "--", "don't", "  "]), max_size=7).map(
    " ".join
)


def squad_f1(prediction: str, truth: str) -> float:
    """The published evaluation script's definition, step by step."""

    def tokens(text: str) -> list[str]:
        text = "".join(character for character in text.lower() if character not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    said, right = tokens(prediction), tokens(truth)
    if not said or not right:
        return float(said == right)
    same = sum((collections.Counter(said) & collections.Counter(right)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(said), same / len(right)
    return 2 * precision * recall / (precision + recall)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=3))
def test_f1_is_squads_best_over_the_targets(said: str, targets: list[str]) -> None:
    value = F1().score(NOTHING, Reference(target=tuple(targets)), Parsed(said), None).value
    assert value == pytest.approx(max(squad_f1(said, target) for target in targets), abs=1e-12)
    assert 0 <= value <= 1


TEXT = st.text(alphabet="aAbÉß19.,$#! \n", max_size=12)


@given(
    TEXT,
    st.lists(TEXT, min_size=1, max_size=3),
    st.lists(st.sampled_from([",", r"\$", r"(?s).*#### ", r"\.$", "[aA]"]), max_size=3),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_lm_eval_exact_match_gives_what_lm_evals_gives(
    said: str, targets: list[str], patterns: list[str], options: tuple[bool, bool, bool]
) -> None:
    case, punctuation, numbers = options
    metric = LmEvalExactMatch(
        regexes_to_ignore=tuple(patterns), ignore_case=case, ignore_punctuation=punctuation, ignore_numbers=numbers
    )
    expected = [
        exact_match_hf_evaluate([said], [target], patterns, case, punctuation, numbers)["exact_match"]
        for target in targets
    ]
    score = metric.score(NOTHING, Reference(target=tuple(targets)), Parsed(said), None)
    assert score.value == max(expected)


def test_lm_eval_exact_match_compares_the_raw_target() -> None:
    gsm8k = LmEvalExactMatch(regexes_to_ignore=(",", r"\$", r"(?s).*#### ", r"\.$"), ignore_case=True)
    parser = build_parser("number", "t")
    solution = Reference(target="9 * 2 = $<<9*2=18>>18\n#### 1,018")
    assert gsm8k.score(NOTHING, solution, Parsed("1,018."), parser).value == 1.0
    assert gsm8k.score(NOTHING, solution, Parsed("1018.0"), parser).value == 0.0, "not compared by value"


def test_a_wrong_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        LmEvalExactMatch(regexes_to_ignore=("(",))
