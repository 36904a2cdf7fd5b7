"""Knowledge graph: which entity completes a triple of a small made-up world?

All triples of the world are told. What is asked is told itself or follows by composing relations: the country of the
birthplace of somebody (after CLUTRR: Sinha et al. 2019, arXiv:1908.06177, whose relations are those of families). One
or two relations in ``train`` and ``test``, three or four in ``test_longer``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from evalharness.data.generators.names import names
from evalharness.data.generators.splits import ROWS, distinct, length_in, random_stream

PEOPLE, TOWNS, COUNTRIES = 8, 5, 3
"""Entities of a world. All of them together are the candidates: 16."""
RELATIONS = {
    "person": {"best friend": "person", "birthplace": "town"},
    "town": {"country": "country", "mayor": "person"},
    "country": {"capital": "town", "ruler": "person"},
}
"""By the kind of its head: the relations that each entity has to exactly one other, and the kind of that one."""

_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
_VOWELS = ("a", "e", "i", "o", "u")

Graph = Mapping[tuple[str, str], str]
"""Head and relation to tail."""


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question`` (the facts, then a sentence to complete), ``facts``, ``sentence``,
    ``candidates`` (every entity of the world, in random order), ``answer``, ``gold`` (its position there),
    ``relations`` (how many are composed) and ``rationale``.

    Every number of relations comes equally often. No entity comes twice on the way to the answer, and every question
    has one answer, so that no other right one stands among the candidates.

    Raises:
        DataError: no such split.
    """
    least, most = length_in(split, (1, 2), (3, 4))
    stream = random_stream("knowledge_graph", split)
    seeds = islice(distinct(lambda: (str(stream.getrandbits(64)),), split), ROWS)
    return [_row(random.Random(seed), least + n % (most - least + 1)) for n, (seed,) in enumerate(seeds)]


def _row(stream: random.Random, length: int) -> dict[str, Any]:
    kinds = _entities(stream)
    graph = _graph(kinds, stream)
    path, relations = stream.choice(sorted(_paths(graph, length)))
    told = [f"{_said(relation, head)} is {tail}." for (head, relation), tail in graph.items()]
    stream.shuffle(told)
    candidates = stream.sample(sorted(kinds), len(kinds))
    asked = path[0]
    for relation in relations:
        asked = _said(relation, asked)
    steps = [
        f"{_said(relation, head)} is {tail}." for head, relation, tail in zip(path, relations, path[1:], strict=False)
    ]
    return {
        "question": f"{' '.join(told)}\n{asked} is",
        "facts": " ".join(told),
        "sentence": f"{asked} is",
        "candidates": candidates,
        "answer": path[-1],
        "gold": candidates.index(path[-1]),
        "relations": length,
        "rationale": " ".join(steps),
    }


def _said(relation: str, of: str) -> str:
    return f"The {relation} of {of[0].lower() + of[1:] if of.startswith('The ') else of}"


def _entities(stream: random.Random) -> dict[str, str]:
    """Kinds by name."""
    people = stream.sample(names("first"), PEOPLE)
    made = _made_up(stream, TOWNS + COUNTRIES, taken=people)
    return {
        **dict.fromkeys(people, "person"),
        **dict.fromkeys(made[:TOWNS], "town"),
        **dict.fromkeys(made[TOWNS:], "country"),
    }


def _made_up(stream: random.Random, count: int, taken: Sequence[str]) -> list[str]:
    """Distinct names of three syllables, none of them taken: ``Vomira``."""
    made: list[str] = []
    while len(made) < count:
        name = "".join(stream.choice(_ONSETS) + stream.choice(_VOWELS) for _ in range(3)).capitalize()
        if name not in made and name not in taken:
            made.append(name)
    return made


def _graph(kinds: Mapping[str, str], stream: random.Random) -> dict[tuple[str, str], str]:
    of_kind = {kind: [name for name, other in kinds.items() if other == kind] for kind in RELATIONS}
    graph = {
        (head, relation): stream.choice([name for name in of_kind[tail] if name != head])
        for head, kind in kinds.items()
        for relation, tail in RELATIONS[kind].items()
    }
    # A capital lies in its country, so every country has a town; where the others lie is drawn.
    for town, country in zip(of_kind["town"], of_kind["country"], strict=False):
        graph[town, "country"] = country
    for country in of_kind["country"]:
        graph[country, "capital"] = stream.choice(
            [town for town in of_kind["town"] if graph[town, "country"] == country]
        )
    return graph


def _paths(graph: Graph, length: int) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every way of so many relations on which no entity comes twice: its entities, and its relations."""
    ways: list[tuple[tuple[str, ...], tuple[str, ...]]] = [((head,), ()) for head in dict.fromkeys(h for h, _ in graph)]
    for _ in range(length):
        ways = [
            ((*path, tail), (*relations, relation))
            for path, relations in ways
            for (head, relation), tail in graph.items()
            if head == path[-1] and tail not in path
        ]
    yield from ways
