"""Texts with copies, near copies and near misses planted in them, and with items of benchmarks.

It knows nothing of the code under test: similarity is computed here anew, by sets of five words in a row.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

_ONSETS = (
    "b",
    "br",
    "c",
    "ch",
    "d",
    "dr",
    "f",
    "g",
    "gr",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "r",
    "s",
    "sh",
    "st",
    "t",
    "tr",
    "v",
    "w",
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "oa", "ou")
_CODAS = ("", "n", "r", "st", "m", "l", "ck", "nd", "t")


def vocabulary(seed: int, size: int = 4000) -> list[str]:
    """Words that nobody has written."""
    draw = random.Random(seed)
    words: dict[str, None] = {}
    while len(words) < size:
        syllables = (
            draw.choice(_ONSETS) + draw.choice(_VOWELS) + draw.choice(_CODAS) for _ in range(draw.randint(1, 3))
        )
        words["".join(syllables)] = None
    return list(words)


def shingles(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))}


def jaccard(one: list[str], other: list[str]) -> float:
    ours, theirs = shingles(one), shingles(other)
    return len(ours & theirs) / len(ours | theirs)


def changed(words: list[str], count: int, known: list[str], draw: random.Random) -> list[str]:
    """`count` words at random places exchanged for others."""
    new = list(words)
    for place in draw.sample(range(len(new)), count):
        new[place] = draw.choice(known)
    return new


@dataclass
class Planted:
    """Documents by name, in the order in which they are read, and what is true of them."""

    texts: dict[str, str] = field(default_factory=dict)
    similarity: dict[str, float] = field(default_factory=dict)
    """Of a changed document to the one that it was made of."""
    exact: set[str] = field(default_factory=set)


def copies(seed: int, originals: int = 60) -> Planted:
    """Originals; then of each an exact copy, a near copy (a word or two in three hundred changed) and a near miss (as
    many words changed as bring the similarity clearly below 0.7)."""
    draw, known, planted = random.Random(seed), vocabulary(seed), Planted()
    bodies = [[draw.choice(known) for _ in range(draw.randint(250, 350))] for _ in range(originals)]
    for number, body in enumerate(bodies):
        planted.texts[f"original-{number}"] = " ".join(body)
    for number, body in enumerate(bodies):
        name = f"exact-{number}"
        planted.texts[name] = "\n " + " ".join(body) + "\n"
        planted.exact.add(name)
        for kind, count in (("near", draw.randint(1, 2)), ("miss", draw.randint(16, 40))):
            other = changed(body, count, known, draw)
            planted.texts[f"{kind}-{number}"] = " ".join(other)
            planted.similarity[f"{kind}-{number}"] = jaccard(body, other)
    return planted


@dataclass
class Contaminated:
    """Documents with items of a benchmark in them."""

    items: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)
    """Document to the item that stands in it, in whole or thirteen words of it and more."""


def benchmark(seed: int, count: int = 50) -> Contaminated:
    """Of each item a document that holds it as it is, one that holds it in capitals with other punctuation and one that
    holds 13 words of it; and near misses: 12 words of it, every sixth word changed, the same words in another order."""
    draw, known, planted = random.Random(seed), vocabulary(seed + 1), Contaminated()

    def around(words: list[str]) -> str:
        before, after = ([draw.choice(known) for _ in range(draw.randint(80, 150))] for _ in range(2))
        return " ".join([*before, *words, *after])

    for number in range(count):
        item = [draw.choice(known) for _ in range(draw.randint(24, 40))]
        planted.items[str(number)] = " ".join(item)
        start = draw.randint(0, len(item) - 13)
        shouted = [word.upper() + draw.choice(["", ",", ".", "!", "'"]) for word in item]
        sixth = [draw.choice(known) if place % 6 == 5 else word for place, word in enumerate(item)]
        mixed = draw.sample(item, len(item))
        for kind, words in (("whole", item), ("shouted", shouted), ("thirteen", item[start : start + 13])):
            planted.texts[f"{kind}-{number}"] = around(words)
            planted.holds[f"{kind}-{number}"] = str(number)
        for kind, words in (("twelve", item[start : start + 12]), ("sixth", sixth), ("mixed", mixed)):
            planted.texts[f"{kind}-{number}"] = around(words)
    return planted
