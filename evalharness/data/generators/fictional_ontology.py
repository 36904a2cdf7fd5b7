"""Deductions over a fictional ontology: is a statement true, given rules about made-up kinds of things?

After ProntoQA (Saparov and He 2022, arXiv:2210.01240): one to three steps from a kind to a wider one in the
demonstrations and in ``test``, five to seven in ``test_longer``. A rule about a kind that plays no part says the
opposite of the rule that matters, so that finding the property's name decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Any

from evalharness.data.generators.splits import balanced, distinct, length_in, random_stream
from evalharness.data.generators.words import with_article

_KINDS = (
    "brimpus", "dumpus", "gorpus", "grimpus", "impus", "jompus", "lempus", "lorpus", "numpus", "rompus", "shumpus",
    "sterpus", "tumpus", "vumpus", "wumpus", "yumpus", "zumpus",
)  # fmt: skip
_PROPERTIES = ("blue", "bright", "cold", "fruity", "kind", "large", "loud", "opaque", "shy", "sour", "wooden")
_NAMES = ("Alex", "Fae", "Max", "Polly", "Rex", "Sally", "Sam", "Stella", "Wren")


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question``, ``answer`` (True or False, 500 each), ``rationale`` and ``rules``.

    Raises:
        DataError: no such split.
    """
    least, most = length_in(split, (1, 3), (5, 7))
    stream = random_stream("fictional_ontology", split)

    def draw() -> tuple[str, ...]:
        """A name, a property with what the rules and the statement say of it, another property, and the kinds."""
        shown, aside = stream.sample(_PROPERTIES, 2)
        said, asked = (stream.choice(("", "not ")) for _ in range(2))
        kinds = stream.sample(_KINDS, stream.randint(least, most) + 2)
        return (stream.choice(_NAMES), shown, said, asked, aside, *kinds)

    rows = (_row(drawn, random_stream("fictional_ontology", " ".join(drawn))) for drawn in distinct(draw, split))
    return balanced(rows, ("True", "False"))


def _row(drawn: Sequence[str], stream: Random) -> dict[str, Any]:
    """The rules stand in the order that `stream` gives them."""
    name, shown, said, asked, aside, *chain, other = drawn
    opposite = "" if said else "not "
    rules = [
        *(_wider(stream, one, kind) for one, kind in pairwise(chain)),
        _property(stream, chain[-1], f"{said}{shown}"),
        _property(stream, other, f"{opposite}{shown}"),
        _property(stream, chain[0], aside),
    ]
    stream.shuffle(rules)
    answer = str(said == asked)
    reached = " ".join(f"{name} is {with_article(kind)}." for kind in chain)
    return {
        "question": f"{' '.join(rules)} {name} is {with_article(chain[0])}. True or false: {name} is {asked}{shown}.",
        "answer": answer,
        "rationale": f"{reached} {name} is {said}{shown}. So the statement is {answer.lower()}.",
        "rules": rules,
    }


def _wider(stream: Random, kind: str, wider: str) -> str:
    if stream.random() < 0.5:
        return f"{kind.capitalize()}es are {wider}es."
    return f"Every {kind} is {with_article(wider)}."


def _property(stream: Random, kind: str, said: str) -> str:
    if stream.random() < 0.5:
        return f"{kind.capitalize()}es are {said}."
    return f"Every {kind} is {said}."
