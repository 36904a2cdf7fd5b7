"""Generators of arithmetic, SCAN, brackets, sorted words, pairs in a context and deductions: right answers, found again
from the question alone; no overlap; the same for ever; shortcuts worth little."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from evalharness.data.generators import arithmetic, key_value_retrieval, scan
from evalharness.data.generators.baselines import baselines
from evalharness.errors import DataError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.registry import lookup

SIZED = ("train", "test", "test_longer")
SPLITS = {
    "arithmetic": arithmetic.SPLITS,
    "dyck_languages": SIZED,
    "fictional_ontology": SIZED,
    "key_value_retrieval": SIZED,
    "scan": (*SIZED, "train_jump", "test_jump"),
    "word_sorting": SIZED,
}
ROWS = {"key_value_retrieval": key_value_retrieval.ROWS}
DIGESTS = {
    "arithmetic": "b0e59f81c7d5",
    "dyck_languages": "f552c0fb72aa",
    "fictional_ontology": "2d7e9c62dd59",
    "key_value_retrieval": "1c314be53608",
    "scan": "94e24fcff312",
    "word_sorting": "449636036938",
}
"""Of the rows of all splits: a change makes other samples of them, and asks for a new version of the task."""


def _arithmetic(row: dict[str, Any]) -> str:
    asked = re.findall(r"What is (.*)\?", row["question"])[0]
    for word, sign in (("plus", "+"), ("minus", "-"), ("times", "*")):
        asked = asked.replace(word, sign)
    numbers = re.findall(r"\d+", asked)
    assert max(map(len, numbers)) <= row["digits"]
    plain = re.sub(r"\d+", lambda number: str(int(number[0])), asked)  # Python reads no 07
    return str(eval(plain))


def _dyck_languages(row: dict[str, Any]) -> str:
    brackets = row["question"].partition(": ")[2].replace(" ", "")
    while (shorter := re.sub(r"\(\)|\[\]|\{\}|<>", "", brackets)) != brackets:
        brackets = shorter
    return " ".join(brackets[::-1].translate(str.maketrans("([{<", ")]}>")))


def _fictional_ontology(row: dict[str, Any]) -> str:
    told, _, asked = row["question"].partition(" True or false: ")
    known = {re.findall(r" (\w+) is an? (\w+)\.$", told)[0][1]}
    facts: set[str] = set()
    rules = re.findall(r"(?:Every (\w+) is|(\w+)es are) (.*?)\.", told)
    for _ in rules:
        for every, plural, said in rules:
            if (every or plural.lower()) in known:
                kind = re.fullmatch(r"(?:an? )?(\w+us)(?:es)?", said)
                known |= {kind[1]} if kind else set()
                facts |= set() if kind else {said}
    statement = re.findall(r" is (.*)\.$", asked)[0]
    opposite = statement.removeprefix("not ") if statement.startswith("not ") else f"not {statement}"
    assert (statement in facts) != (opposite in facts)
    return str(statement in facts)


def _key_value_retrieval(row: dict[str, Any]) -> str:
    return str(json.loads(row["object"])[row["question"]])


def _scan(row: dict[str, Any]) -> str:
    return " ".join(_acted(row["question"].split()))


def _acted(words: list[str]) -> list[str]:
    for joint in ("and", "after"):
        if joint in words:
            place = words.index(joint)
            first, second = _acted(words[:place]), _acted(words[place + 1 :])
            return first + second if joint == "and" else second + first
    if words[-1] in ("twice", "thrice"):
        return _acted(words[:-1]) * (2 if words[-1] == "twice" else 3)
    act = [] if words[0] == "turn" else [f"I_{words[0].upper()}"]
    if words[-1] not in ("left", "right"):
        return act
    turn = [f"I_TURN_{words[-1].upper()}"]
    return {2: turn + act, 3: (turn + act) * 4 if "around" in words else turn * 2 + act}[len(words)]


def _word_sorting(row: dict[str, Any]) -> str:
    return ", ".join(sorted(row["question"].partition(": ")[2].rstrip(".").split(", ")))


SOLVERS = {name.removeprefix("_"): solver for name, solver in list(globals().items()) if name[1:] in SPLITS}


@pytest.mark.parametrize("name", SPLITS)
def test_answers_follow_from_the_questions(name: str) -> None:
    for split in SPLITS[name]:
        rows = lookup("generator", name)(split)
        assert len({row["question"] for row in rows}) == len(rows) == ROWS.get(name, 1000)
        assert [row["answer"] for row in rows] == [SOLVERS[name](row) for row in rows]


@pytest.mark.parametrize("name", SPLITS)
def test_no_question_is_in_two_of_the_sized_splits(name: str) -> None:
    questions = [row["question"] for split in SIZED for row in lookup("generator", name)(split)]
    assert len(set(questions)) == len(questions)


def test_the_rows_are_the_same_on_every_machine() -> None:
    digests = {
        name: sha256_text(canonical_json([lookup("generator", name)(split) for split in splits]))[:12]
        for name, splits in SPLITS.items()
    }
    assert digests == DIGESTS


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("split", ["test", "test_longer"])
def test_shortcuts_are_worth_little(name: str, split: str) -> None:
    constant, *others = baselines(name, split).values()
    assert constant <= 0.5
    assert max(others) < constant + 0.11


@pytest.mark.parametrize("name", SPLITS)
def test_an_unknown_split_names_the_nearest(name: str) -> None:
    with pytest.raises(DataError, match="no split 'test_long'; did you mean 'test_longer'"):
        lookup("generator", name)("test_long")


def test_scan_is_the_papers_to_the_row() -> None:
    """The numbers of Lake and Baroni 2018: all commands, both parts of the length split, the commands with jump."""
    commands = scan.commands()
    lengths = Counter(len(meaning) <= scan.MOST_ACTIONS for meaning in commands.values())
    assert (len(commands), lengths[True], lengths[False]) == (20_910, 16_990, 3_920)
    assert min(len(meaning) for meaning in commands.values() if len(meaning) > scan.MOST_ACTIONS) == 24
    assert sum(command != "jump" and "jump" in command.split() for command in commands) == 7_706


def test_whoever_is_asked_to_jump_was_told_of_jump_alone() -> None:
    told = [row["question"] for row in scan.generate("train_jump")]
    assert told[0] == "jump"
    assert not any("jump" in command for command in told[1:])
    assert all("jump" in row["words"] and len(row["words"]) > 1 for row in scan.generate("test_jump"))


def test_true_and_false_come_equally_often() -> None:
    for split in SIZED:
        answers = Counter(row["answer"] for row in lookup("generator", "fictional_ontology")(split))
        assert answers == {"True": 500, "False": 500}


def test_a_deduction_is_told_step_by_step() -> None:
    for row in lookup("generator", "fictional_ontology")("test_longer")[:100]:
        name, kind = re.findall(r"(\w+) is an? (\w+)\. True or false", row["question"])[0]
        assert row["rationale"].startswith((f"{name} is a {kind}.", f"{name} is an {kind}."))
        assert row["rationale"].endswith(f"So the statement is {row['answer'].lower()}.")


def test_keys_are_asked_at_every_place_of_the_object() -> None:
    places = Counter(row["place"] for row in key_value_retrieval.generate("test_longer"))
    assert places == {"first": 180, "middle": 160, "last": 160}
