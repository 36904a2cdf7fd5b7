"""Generators with a longer split: right answers, found again from the question alone; no overlap; the same for ever."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from evalharness.data.generators.baselines import baselines
from evalharness.data.generators.words import COLORS, KINDS, NUMBERS, THINGS
from evalharness.errors import DataError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.registry import lookup

SPLITS = ("train", "test", "test_longer")
DIGESTS = {
    "boolean_assignment": ["ae889f9c7ba3", "eb4331ab943b", "58be14f606bc"],
    "colored_objects": ["321fe1aaa108", "07448f90bcaa", "c68f0a261000"],
    "object_counting": ["9dbb98c20a55", "a771d1b6f298", "58fe880e49a0"],
    "parity": ["d4ddb5457fcb", "7f32b69f2bd2", "573bad893a84"],
    "repeat_copy": ["2748ec3de9b9", "ec18f13a8d80", "6343024298e8"],
    "reverse_list": ["8aa0b13e75e3", "f502c821b0b6", "e78345a8003e"],
}
"""Of the rows of each split: a change makes other samples of them, and asks for a new version of the task."""
LENGTHS = {
    "boolean_assignment": ((4, 6), (9, 13)),
    "colored_objects": ((3, 5), (7, 10)),
    "object_counting": ((4, 6), (8, 12)),
    "parity": ((8, 12), (16, 24)),
    "repeat_copy": ((3, 4), (3, 4)),
    "reverse_list": ((4, 6), (8, 12)),
}
"""Entries of a row's list, in ``train`` and ``test``, and in ``test_longer``."""


def _reverse_list(question: str) -> str:
    return ", ".join(question.removeprefix("Reverse the list: ").rstrip(".").split(", ")[::-1])


def _object_counting(question: str) -> str:
    asked = re.findall(r"How many (.*) do I have\?", question)[0]
    listed = re.split(r", and |, | and ", question.partition("I have ")[2].partition(". How")[0])
    total = 0
    for entry in listed:
        number, _, thing = entry.partition(" ")
        singulars = {plural: singular for things in KINDS.values() for singular, plural in things.items()}
        if singulars.get(thing, thing) in KINDS[asked]:
            total += 1 if number in ("a", "an") else NUMBERS.index(number)
    return str(total)


def _colored_objects(question: str) -> str:
    scene, _, asked = question.partition(". What color is ")
    things = re.findall(rf"an? ({'|'.join(COLORS)}) (\w+)", scene)
    named = [thing for _, thing in things].index(re.findall(r"the (\w+)\?", asked)[0])
    step = -1 if "left of" in asked else 1 if "right of" in asked else 0
    return str(things[named + step][0])


def _boolean_assignment(question: str) -> str:
    lines, _, asked = question.rpartition(". What is the value of ")
    values: dict[str, Any] = {}
    for line in lines.split("; "):
        exec(line, {}, values)  # the lines are Python
    return str(int(values[asked.rstrip("?")]))


def _parity(question: str) -> str:
    return "odd" if question.count("1") % 2 else "even"


def _repeat_copy(question: str) -> str:
    phrase, number, every, other = re.findall(r'Say "(.*)" (\w+) times, and after (.*) say "(\w+)"', question)[0]
    said = []
    for turn in range(NUMBERS.index(number)):
        said.append(phrase)
        if every == "each time" or turn % 2:
            said.append(other)
    return " ".join(said)


SOLVERS = {name.removeprefix("_"): solver for name, solver in list(globals().items()) if name[1:] in LENGTHS}


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("split", SPLITS)
def test_answers_follow_from_the_questions(name: str, split: str) -> None:
    rows = lookup("generator", name)(split)
    assert len({row["question"] for row in rows}) == len(rows) == 1000
    least, most = LENGTHS[name][split == "test_longer"]
    for row in rows:
        assert row["answer"] == SOLVERS[name](row["question"])
        entries = next(value for value in row.values() if isinstance(value, list))
        assert least <= len(entries) <= most


@pytest.mark.parametrize("name", LENGTHS)
def test_no_question_is_in_two_splits(name: str) -> None:
    questions = [row["question"] for split in SPLITS for row in lookup("generator", name)(split)]
    assert len(set(questions)) == 3000


@pytest.mark.parametrize("name", LENGTHS)
def test_rationales_end_at_the_answer(name: str) -> None:
    """The last thing that a rationale says is the answer, or for repeated words all of it."""
    for row in lookup("generator", name)("test")[:100]:
        said = row["rationale"].rstrip(".")
        if name == "reverse_list":
            assert re.findall("|".join(THINGS), said) == row["answer"].split(", ")
        elif name == "repeat_copy":
            assert " ".join(re.findall("|".join(THINGS), said)) == row["answer"]
        else:
            assert re.split(r"[ ,]+", said)[-1] == row["answer"]


@pytest.mark.parametrize("name", ["boolean_assignment", "parity"])
@pytest.mark.parametrize("split", SPLITS)
def test_two_answers_come_equally_often(name: str, split: str) -> None:
    assert sorted(Counter(row["answer"] for row in lookup("generator", name)(split)).values()) == [500, 500]


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("split", ["test", "test_longer"])
def test_shortcuts_are_worth_little(name: str, split: str) -> None:
    constant, *others = baselines(name, split).values()
    assert constant <= 0.5
    assert max(others) < constant + 0.11


def test_the_rows_are_the_same_on_every_machine() -> None:
    digests = {
        name: [sha256_text(canonical_json(lookup("generator", name)(split)))[:12] for split in SPLITS]
        for name in LENGTHS
    }
    assert digests == DIGESTS


@pytest.mark.parametrize("name", LENGTHS)
def test_an_unknown_split_names_the_nearest(name: str) -> None:
    with pytest.raises(DataError, match="no split 'test_long'; did you mean 'test_longer'"):
        lookup("generator", name)("test_long")
