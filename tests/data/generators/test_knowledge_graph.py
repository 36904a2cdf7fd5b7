"""Right answers, found again from the text alone; worlds that contradict nothing; shortcuts that are worth little."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from evalharness.data.generators.baselines import baselines
from evalharness.data.generators.knowledge_graph import COUNTRIES, PEOPLE, RELATIONS, TOWNS, generate
from evalharness.errors import DataError
from evalharness.hashing import canonical_json, sha256_text

SPLITS = ("train", "test", "test_longer")
DIGESTS = {"train": "40ee998cc9ad", "test": "d08b3473e7e5", "test_longer": "9362211b1914"}
"""Of the rows of each split: a change makes other samples of them, and asks for a new version of the task."""
NAMED = [relation for relations in RELATIONS.values() for relation in relations]


@pytest.fixture(scope="module")
def every() -> dict[str, list[dict[str, Any]]]:
    return {split: generate(split) for split in SPLITS}


@pytest.fixture(params=SPLITS)
def rows(request: pytest.FixtureRequest, every: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return every[request.param]


def _graph(facts: str) -> dict[tuple[str, str], str]:
    said = re.findall(rf"The ({'|'.join(NAMED)}) of (\w+) is (\w+)\.", facts)
    assert len(said) == facts.count(".")
    return {(head, relation): tail for relation, head, tail in said}


def _completed(sentence: str, graph: dict[tuple[str, str], str]) -> tuple[str, int]:
    """The answer, and how many relations lead to it."""
    *relations, head = re.split(r" of (?:the )?", sentence.removeprefix("The ").removesuffix(" is"))
    for relation in reversed(relations):
        head = graph[head, relation]
    return head, len(relations)


def test_answers_follow_from_the_questions(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        facts, _, sentence = row["question"].partition("\n")
        assert (facts, sentence) == (row["facts"], row["sentence"])
        assert _completed(sentence, _graph(facts)) == (row["answer"], row["relations"])
        assert row["candidates"][row["gold"]] == row["answer"]
        assert row["rationale"].endswith(f" is {row['answer']}.")
        assert row["rationale"].count(".") == row["relations"]
        assert all(f"{step}." in facts for step in row["rationale"].rstrip(".").split(". "))


def test_the_candidates_are_the_entities_of_the_world(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        graph = _graph(row["facts"])
        assert len(graph) == 2 * (PEOPLE + TOWNS + COUNTRIES)
        assert sorted(row["candidates"]) == sorted({head for head, _ in graph})
        assert set(graph.values()) <= set(row["candidates"])


def test_a_world_does_not_contradict_itself(rows: list[dict[str, Any]]) -> None:
    for row in rows[:200]:
        graph = _graph(row["facts"])
        for (head, relation), tail in graph.items():
            assert head != tail
            if relation == "capital":
                assert graph[tail, "country"] == head


def test_rows_are_distinct_and_lengths_alternate(every: dict[str, list[dict[str, Any]]]) -> None:
    assert len({row["question"] for split in every.values() for row in split}) == 3_000
    assert {split: Counter(row["relations"] for row in found) for split, found in every.items()} == {
        "train": {1: 500, 2: 500}, "test": {1: 500, 2: 500}, "test_longer": {3: 500, 4: 500},
    }  # fmt: skip


def test_shortcuts_are_worth_little(rows: list[dict[str, Any]]) -> None:
    """Whoever knows the kind of what is asked guesses among 3 to 8; the one most often named is right somewhat more."""
    kinds = {relation: tail for relations in RELATIONS.values() for relation, tail in relations.items()}
    right = 0
    for row in rows:
        graph = _graph(row["facts"])
        kind_of = {tail: kinds[relation] for (_, relation), tail in graph.items()}
        asked = re.match(rf"The ({'|'.join(NAMED)}) of", row["sentence"])
        assert asked is not None
        fitting = [name for name in row["candidates"] if kind_of.get(name) == kinds[asked[1]]]
        right += max(fitting, key=row["facts"].count) == row["answer"]
    assert right / len(rows) < 0.4


@pytest.mark.long
@pytest.mark.parametrize("split", ["test", "test_longer"])
def test_baselines(split: str) -> None:
    scores = baselines("knowledge_graph", split)
    assert scores.keys() == {"constant", "linear_on_lengths", "look_up", "most_named"}
    assert max(scores.values()) < 0.15


def test_the_rows_are_the_same_on_every_machine(every: dict[str, list[dict[str, Any]]]) -> None:
    assert {split: sha256_text(canonical_json(found))[:12] for split, found in every.items()} == DIGESTS


def test_an_unknown_split_names_the_nearest() -> None:
    with pytest.raises(DataError, match="no split 'test_long'; did you mean 'test_longer'"):
        generate("test_long")
