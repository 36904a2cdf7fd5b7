"""Texts of our own to learn from, and tokenizers learned from them."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from evalharness.stack.tokenization.options import TokenizerOptions
from evalharness.stack.tokenization.text import TextTokenizer
from evalharness.stack.tokenization.text_files import TextFile
from evalharness.stack.tokenization.train import train

SYLLABLES = (
    "ba",
    "che",
    "dir",
    "en",
    "fo",
    "gal",
    "hu",
    "is",
    "jor",
    "ka",
    "lem",
    "mi",
    "nov",
    "or",
    "pel",
    "so",
    "ve",
)


_random = Random(7)
WORDS = ["".join(_random.choices(SYLLABLES, k=_random.choice((1, 2, 3)))) for _ in range(1500)]
"""The lower its place, the oftener a word is used."""


def sentence(number: int) -> str:
    words = [WORDS[int(len(WORDS) * _random.random() ** 3)] for _ in range(8)]
    return f"{words[0].title()} {' '.join(words[1:6])} {number * 37 % 1000}: “{words[6]} isn't {words[7]}.”\n"


TEXT = "".join(map(sentence, range(600))) + "Die Bäckerin verkauft fünf Brötchen.\nОна купила пять яблок.\n" * 20


def text_file(folder: Path, text: str = TEXT, name: str = "texts.txt") -> TextFile:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return TextFile(path, name, name.split(".")[0])


def trained(folder: Path, text: str = TEXT, **options: Any) -> TextTokenizer:
    return train([text_file(folder, text)], TokenizerOptions(**options)).tokenizer
