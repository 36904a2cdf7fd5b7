"""SCAN: commands of a small grammar, and the actions that they mean.

Lake and Baroni 2018, arXiv:1711.00350 (figures 6 and 7 of the supplement): the grammar gives 20,910 commands, and this
module all of them. Splits are drawn from them here: ``train`` and ``test`` of commands with at most 22 actions,
``test_longer`` of those with more (the paper's experiment 2); ``train_jump`` knows ``jump`` alone, and ``test_jump``
asks for it with other words (experiment 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from evalharness.data.generators.splits import ROWS, random_stream
from evalharness.errors import DataError, nearest
from evalharness.hashing import sha256_text

MOST_ACTIONS = 22
"""In a command that counts as short (experiment 2)."""

_ACTIONS = {"walk": "I_WALK", "look": "I_LOOK", "run": "I_RUN", "jump": "I_JUMP"}
_TURNS = {"left": "I_TURN_LEFT", "right": "I_TURN_RIGHT"}

Meaning = tuple[str, ...]


def generate(split: str) -> list[dict[str, Any]]:
    """1,000 rows with the columns ``question`` (the command), ``answer`` (the actions), ``actions`` (their number) and
    ``words``; the first row of ``train_jump`` is ``jump``.

    Raises:
        DataError: no such split.
    """
    if split not in _KEEPS:
        raise DataError(f"generated data have no split '{split}'; {nearest(split, _KEEPS)}")
    kept = [_row(command, meaning) for command, meaning in commands().items() if _KEEPS[split](command, meaning)]
    random_stream("scan", split).shuffle(kept)
    # A stable sort: what says how to jump comes first, and all else stays as it was drawn.
    kept.sort(key=lambda row: split == "train_jump" and row["question"] != "jump")
    return kept[:ROWS]


@cache
def commands() -> dict[str, Meaning]:
    """Every command with its actions, in the order of the grammar's rules."""
    once = dict(_verb_phrases())
    sentences = {
        f"{phrase}{times}": meaning * count
        for phrase, meaning in once.items()
        for times, count in (("", 1), (" twice", 2), (" thrice", 3))
    }
    pairs = [(one, other) for one in sentences for other in sentences]
    return {
        **sentences,
        **{f"{one} and {other}": sentences[one] + sentences[other] for one, other in pairs},
        **{f"{one} after {other}": sentences[other] + sentences[one] for one, other in pairs},
    }


def _verb_phrases() -> Iterator[tuple[str, Meaning]]:
    """The grammar's V: a verb, alone or with a direction, ``opposite`` it or ``around`` it."""
    for verb, action in _ACTIONS.items():
        yield verb, (action,)
    for verb, actions in (*((verb, (action,)) for verb, action in _ACTIONS.items()), ("turn", ())):
        for direction, turn in _TURNS.items():
            yield f"{verb} {direction}", (turn, *actions)
            yield f"{verb} opposite {direction}", (turn, turn, *actions)
            yield f"{verb} around {direction}", (turn, *actions) * 4


def _of_half(command: str, half: int) -> bool:
    """Every command belongs to one of two halves, by the parity of its hash."""
    return int(sha256_text(command), 16) % 2 == half


_KEEPS: dict[str, Callable[[str, Meaning], bool]] = {
    "train": lambda command, meaning: len(meaning) <= MOST_ACTIONS and _of_half(command, 0),
    "test": lambda command, meaning: len(meaning) <= MOST_ACTIONS and _of_half(command, 1),
    "test_longer": lambda _, meaning: len(meaning) > MOST_ACTIONS,
    "train_jump": lambda command, _: command == "jump" or "jump" not in command,
    "test_jump": lambda command, _: command != "jump" and "jump" in command,
}


def _row(command: str, meaning: Meaning) -> dict[str, Any]:
    return {
        "question": command,
        "answer": " ".join(meaning),
        "actions": len(meaning),
        "words": command.split(),
    }
