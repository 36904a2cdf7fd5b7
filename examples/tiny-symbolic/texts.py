"""Texts to train on: questions as coin_flip and last_letter_concatenation ask them, about people who do not exist.

Names are made of syllables, and none is a name of the harness's lists, which its test questions are made from: what is
learned has to hold for names that were never seen.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from evalharness.data.generators.names import names
from evalharness.registry import lookup

TASKS = ("coin_flip", "last_letter_concatenation")
TESTED = ("test", "test_3", "test_4")
"""Splits that the tasks ask: two names in a question, as in the texts here; three; four."""
SEED = 0
BEGINNINGS = (*"bcdfghjklmnpqrstvwxyz", "br", "ch", "cl", "dr", "fr", "gr", "kr", "qu", "sh", "st", "th", "tr", "")
VOWELS = (*"aeiouy", "ai", "ea", "ee", "ia", "ie", "oo", "ou")
ENDS = (*"bcdfghklmnprstvwxyz", "ck", "ld", "ll", "nd", "ng", "nn", "rd", "rt", "ss", "st", "th", "tt", *[""] * 4)
SYLLABLES = (1, 1, 2, 2, 3, 4)
LETTERS = range(2, 13)
"""Of a name, as in the harness's lists."""
REAL = {*names("first"), *names("last")}


@dataclass(frozen=True)
class Row:
    """A question with its answer, and the names in it."""

    question: str
    answer: str
    names: list[str]

    @property
    def document(self) -> str:
        """As the tasks ask without demonstrations, and as they answer."""
        return f"Q: {self.question}\nA: The answer is {self.answer}."


def learned(task: str, count: int) -> list[Row]:
    """The first rows to train on, the same each time."""
    return list(islice(_rows(task), count))


def tested(task: str, split: str) -> list[Row]:
    """All questions that the task asks of a split."""
    return [Row(row["question"], row["answer"], row["names"]) for row in lookup("generator", task)(split)]


def write(folder: Path, count: int) -> None:
    """Write the documents of both tasks as JSON lines, and say how many names they share with the tests.

    Raises:
        SystemExit: a name is in both.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for task in TASKS:
        rows, questions = learned(task, count), [row for split in TESTED for row in tested(task, split)]
        seen, asked = ({name for row in of for name in row.names} for of in (rows, questions))
        shared = sorted(seen & asked)
        print(
            f"{task}: {len(rows):,} documents with {len(seen):,} names; {len(questions):,} test questions with "
            f"{len(asked):,} names; names in both: {len(shared)}"
        )
        if shared:
            raise SystemExit(f"names to train on are those of the test: {', '.join(shared[:5])}")
        lines = (json.dumps({"text": row.document}) for row in rows)
        (folder / f"{task}.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _rows(task: str) -> Iterator[Row]:
    stream = random.Random(f"{task}/{SEED}")
    make = {"coin_flip": _coin_flip, "last_letter_concatenation": _last_letters}[task]
    while True:
        yield make(stream, [_made_up(stream) for _ in range(2)])


def _made_up(stream: random.Random) -> str:
    while True:
        syllables = (stream.choice(BEGINNINGS) + stream.choice(VOWELS) for _ in range(stream.choice(SYLLABLES)))
        name = ("".join(syllables) + stream.choice(ENDS)).capitalize()
        if len(name) in LETTERS and name not in REAL:
            return name


def _coin_flip(stream: random.Random, people: list[str]) -> Row:
    flips = [stream.random() < 0.5 for _ in people]
    acts = (
        f"{name} {'flips' if flip else 'does not flip'} the coin." for name, flip in zip(people, flips, strict=True)
    )
    question = f"A coin is heads up. {' '.join(acts)} Is the coin still heads up?"
    return Row(question, "no" if sum(flips) % 2 else "yes", people)


def _last_letters(stream: random.Random, words: list[str]) -> Row:
    question = f'Take the last letters of the words in "{" ".join(words)}" and concatenate them.'
    return Row(question, "".join(word[-1] for word in words), words)
