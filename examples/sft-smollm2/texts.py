"""Conversations and pairs of answers about coins, of people who do not exist.

Names are made of syllables, and none is a name of the harness's lists, which its test questions are made from: what is
learned has to hold for names that were never seen.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from evalharness.data.generators.names import names
from evalharness.registry import lookup

SEED = 0
BEGINNINGS = (*"bcdfghjklmnpqrstvwxyz", "br", "ch", "dr", "fr", "gr", "kr", "sh", "st", "th", "tr")
VOWELS = (*"aeiou", "ai", "ea", "ee", "ia", "oo")
ENDS = (*"bdfgklmnprstvx", "ck", "ld", "nd", "rt", "ss", "th", *[""] * 4)
REAL = {*names("first"), *names("last")}
Question = tuple[str, str, list[str]]
"""Its text as the task asks, its answer, and the names in it."""


def write(folder: Path, conversations: int, pairs: int) -> None:
    """Write ``chats.jsonl`` of two people and ``pairs.jsonl`` of three, and say how many names the tests have too.

    Raises:
        SystemExit: a name is in both.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, people, count, row in (("chats", 2, conversations, chat), ("pairs", 3, pairs, pair)):
        questions = list(islice(coins(people), count))
        seen = {each for _, _, group in questions for each in group}
        asked = {each for tested in lookup("generator", "coin_flip")(TESTED[people]) for each in tested["names"]}
        print(f"{name}: {count:,} rows with {len(seen):,} names; names that the tests have too: {len(seen & asked)}")
        if shared := sorted(seen & asked):
            raise SystemExit(f"names to train on are those of the test: {', '.join(shared[:5])}")
        _write(folder / f"{name}.jsonl", row, questions)


TESTED = {2: "test", 3: "test_3"}


def chat(question: str, answer: str) -> dict[str, Any]:
    """As `evalharness run --chat --method direct --shots 0` asks, and as the task's demonstrations answer."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": f"The answer is {answer}."}]
    return {"messages": messages}


def pair(question: str, answer: str) -> dict[str, Any]:
    wrong = {"yes": "no", "no": "yes"}[answer]
    return {"prompt": question, "chosen": f"The answer is {answer}.", "rejected": f"The answer is {wrong}."}


def coins(people: int) -> Iterator[Question]:
    """Questions about so many people, the same each time."""
    stream = random.Random(f"{people}/{SEED}")
    while True:
        group, flips = [_made_up(stream) for _ in range(people)], [stream.random() < 0.5 for _ in range(people)]
        told = zip(group, flips, strict=True)
        acts = (f"{name} {'flips' if flip else 'does not flip'} the coin." for name, flip in told)
        question = f"Q: A coin is heads up. {' '.join(acts)} Is the coin still heads up?\nA:"
        yield question, "no" if sum(flips) % 2 else "yes", group


def _made_up(stream: random.Random) -> str:
    while True:
        syllables = (stream.choice(BEGINNINGS) + stream.choice(VOWELS) for _ in range(stream.choice((1, 2, 2, 3))))
        name = ("".join(syllables) + stream.choice(ENDS)).capitalize()
        if name not in REAL:
            return name


def _write(path: Path, row: Callable[[str, str], dict[str, Any]], questions: list[Question]) -> None:
    lines = (json.dumps(row(question, answer)) for question, answer, _ in questions)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
