"""Things by kind, with their plurals, and colours: what generated questions are about."""

from __future__ import annotations

KINDS: dict[str, dict[str, str]] = {
    "fruits": {
        "apple": "apples",
        "banana": "bananas",
        "cherry": "cherries",
        "fig": "figs",
        "lemon": "lemons",
        "mango": "mangoes",
        "orange": "oranges",
        "peach": "peaches",
        "pear": "pears",
        "plum": "plums",
    },
    "animals": {
        "bear": "bears",
        "camel": "camels",
        "donkey": "donkeys",
        "fox": "foxes",
        "goat": "goats",
        "horse": "horses",
        "lizard": "lizards",
        "otter": "otters",
        "rabbit": "rabbits",
        "tiger": "tigers",
    },
    "musical instruments": {
        "banjo": "banjos",
        "cello": "cellos",
        "drum": "drums",
        "flute": "flutes",
        "guitar": "guitars",
        "harp": "harps",
        "piano": "pianos",
        "trumpet": "trumpets",
        "tuba": "tubas",
        "violin": "violins",
    },
    "pieces of furniture": {
        "armchair": "armchairs",
        "bed": "beds",
        "bench": "benches",
        "bookcase": "bookcases",
        "cupboard": "cupboards",
        "desk": "desks",
        "shelf": "shelves",
        "sofa": "sofas",
        "stool": "stools",
        "wardrobe": "wardrobes",
    },
}
"""Ten things of each kind, singular to plural; no thing is of two kinds."""

THINGS = tuple(thing for things in KINDS.values() for thing in things)
COLORS = ("red", "orange", "yellow", "green", "blue", "brown", "purple", "pink", "grey", "black")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def with_article(words: str) -> str:
    """``an apple``, ``a red apple``."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def enumerated(parts: list[str]) -> str:
    """``a``, ``a and b``, ``a, b, and c``."""
    if len(parts) < 3:
        return " and ".join(parts)
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"
