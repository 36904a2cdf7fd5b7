"""Coin flip: right answers, read back from the question alone; balanced; the same for ever."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from evalharness.data.generators.coin_flip import generate
from evalharness.data.generators.splits import PEOPLE
from evalharness.errors import DataError
from evalharness.hashing import canonical_json, sha256_text


@pytest.mark.parametrize(("split", "people"), PEOPLE.items())
def test_answers_follow_from_the_questions(split: str, people: int) -> None:
    rows = generate(split)
    assert len({row["question"] for row in rows}) == len(rows) == 1000
    for row in rows:
        acts = re.findall(r"(\w+) (flips|does not flip) the coin\.", row["question"])
        assert [name for name, _ in acts] == row["names"]
        assert len(set(row["names"])) == people
        flips = sum(act == "flips" for _, act in acts)
        assert row["answer"] == ("yes", "no")[flips % 2]
        assert f"flipped {flips} time" in row["rationale"]
        assert row["rationale"].endswith("tails up." if flips % 2 else "heads up.")


@pytest.mark.parametrize(("split", "people"), PEOPLE.items())
def test_answers_and_patterns_are_balanced(split: str, people: int) -> None:
    rows = generate(split)
    assert Counter(row["answer"] for row in rows) == {"yes": 500, "no": 500}
    patterns = Counter(tuple(re.findall("flips|not", row["question"])) for row in rows)
    assert len(patterns) == 2**people
    assert max(patterns.values()) - min(patterns.values()) <= 1


def test_no_question_is_in_two_splits() -> None:
    questions = [row["question"] for split in PEOPLE for row in generate(split)]
    assert len(set(questions)) == 4000
    # Not even with the same people flipping otherwise: they are another question about the same names.
    groups = [tuple(row["names"]) for split in PEOPLE for row in generate(split)]
    assert len(set(groups)) == 4000


def test_the_rationales_have_the_form_of_the_paper() -> None:
    said = {re.sub(r"by [A-Z].*?\.", "by THEM.", row["rationale"]) for split in PEOPLE for row in generate(split)}
    assert said == {
        "The coin was flipped by no one. So the coin was flipped 0 times. The coin started heads up, and it was not "
        "flipped, so it is still heads up.",
        "The coin was flipped by THEM. So the coin was flipped 1 time, which is an odd number. The coin started heads "
        "up, so after an odd number of flips, it will be tails up.",
        "The coin was flipped by THEM. So the coin was flipped 2 times, which is an even number. The coin started "
        "heads up, so after an even number of flips, it will still be heads up.",
        "The coin was flipped by THEM. So the coin was flipped 3 times, which is an odd number. The coin started heads "
        "up, so after an odd number of flips, it will be tails up.",
        "The coin was flipped by THEM. So the coin was flipped 4 times, which is an even number. The coin started "
        "heads up, so after an even number of flips, it will still be heads up.",
    }


def test_people_are_enumerated() -> None:
    row = next(row for row in generate("test_4") if row["question"].count("flips") == 4)
    first, second, third, fourth = row["names"]
    assert f"flipped by {first}, {second}, {third}, and {fourth}. " in row["rationale"]


def test_the_rows_are_the_same_on_every_machine() -> None:
    digests = {split: sha256_text(canonical_json(generate(split)))[:16] for split in PEOPLE}
    assert digests == {
        "train": "c4322338dea62e35",
        "test": "386bce9dd7bdff31",
        "test_3": "1124e4a335920bfd",
        "test_4": "5cedb55659cf61e1",
    }


def test_an_unknown_split_names_the_nearest() -> None:
    with pytest.raises(DataError, match="no split 'tset'; did you mean 'test'"):
        generate("tset")
