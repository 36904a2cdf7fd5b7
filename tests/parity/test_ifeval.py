"""Our verifiers of IFEval against lm-eval 0.4.13's, response by response, and what is known to differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from parity.ifeval_oracle import punkt_of_nltk, rows_and_responses, scored_by_them, their_verifiers

from evalharness.errors import DataError
from evalharness.scoring.instructions.follow import VERIFIERS, follow
from evalharness.scoring.instructions.text_units import sentences

SEED = 20261126
RESPONSES = 1_000


@pytest.fixture(scope="module")
def utils() -> Iterator[Any]:
    with their_verifiers() as module:
        yield module


def scored_by_us(row: Mapping[str, Any], response: str) -> dict[str, Any]:
    found = follow(json.dumps({"ids": row["instruction_id_list"], "arguments": row["kwargs"]}), response)
    return {
        "prompt_level_strict_acc": all(found.strictly),
        "inst_level_strict_acc": list(found.strictly),
        "prompt_level_loose_acc": all(found.loose),
        "inst_level_loose_acc": list(found.loose),
    }


def test_every_response_scores_alike(utils: Any) -> None:
    outcomes: Counter[tuple[str, bool, bool]] = Counter()
    for row, response in rows_and_responses(RESPONSES, SEED):
        theirs, ours = scored_by_them(utils, row, response), scored_by_us(row, response)
        assert ours == theirs, (row, response)
        outcomes.update(
            zip(row["instruction_id_list"], ours["inst_level_strict_acc"], ours["inst_level_loose_acc"], strict=False)
        )
    ids = {id for id, _, _ in outcomes}
    assert ids == set(VERIFIERS)
    one_sided = {id for id in ids if len({strict for each, strict, _ in outcomes if each == id}) < 2}
    assert not one_sided, "a verifier that always says the same is not compared"
    assert sum(count for (_, strict, loose), count in outcomes.items() if loose and not strict) > 50


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Dr. Ames met Mr. Bell at 5 p.m. They left.", 2),
        ("It costs 3.5 euros. See p. 4!", 2),
        ('He said "No." She said "Yes!"', 2),
        ("One... two... three", 1),
        ("What? Yes. No!", 3),
        ("a\nb\n\nc", 1),
        ("We went to the U.S. It was warm. J. Smith came, too.", 3),
        ("", 0),
    ],
)
def test_sentences_by_hand(text: str, count: int) -> None:
    assert len(punkt_of_nltk().tokenize(text)) == len(sentences(text)) == count


# What differs, each with its reason: (ids and arguments, response, theirs, ours). Theirs None: it raises or is random.
DIFFERENCES: list[tuple[str, str, dict[str, Any], str, bool | None, bool]] = [
    ("a letter outside of a-z is replaced by a random one there",
     "keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": "at least"},
     "# one # two", None, True),
    ("a keyword is a regular expression there, and its text here",
     "keywords:existence", {"keywords": ["a.c"]}, "abc", True, False),
    ("a keyword that is no regular expression fails there",
     "keywords:frequency", {"keyword": "c++", "frequency": 1, "relation": "at least"}, "C++ is old", None, True),
    ("an argument 0 counts as missing, and is drawn at random, there",
     "length_constraints:number_words", {"num_words": 0, "relation": "at least"}, "five words are in here", None, True),
    ("JSON that is nested too deeply fails there",
     "detectable_format:json_format", {}, "[" * 100_000, None, False),
]  # fmt: skip


@pytest.mark.parametrize(("why", "id", "arguments", "response", "theirs", "ours"), DIFFERENCES)
def test_known_differences(
    utils: Any, why: str, id: str, arguments: dict[str, Any], response: str, theirs: bool | None, ours: bool
) -> None:
    row = {"instruction_id_list": [id], "kwargs": [arguments]}
    assert scored_by_us(row, response)["inst_level_strict_acc"] == [ours]
    if theirs is not None:
        assert scored_by_them(utils, row, response)["inst_level_strict_acc"] == [theirs], why


def test_an_argument_that_is_missing_is_random_there_and_refused_here(utils: Any) -> None:
    row = {"instruction_id_list": ["length_constraints:number_words"], "kwargs": [{"num_words": None}]}
    scored_by_them(utils, row, "some words")
    with pytest.raises(DataError, match="other arguments"):
        scored_by_us(row, "some words")
