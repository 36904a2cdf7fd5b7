"""What tokenizers make of texts: fertility, coverage and use of the vocabulary, by file, domain and script."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from evalharness.stack.errors import TokenizerError
from evalharness.stack.tokenization.byte_tokens import single_byte_ids
from evalharness.stack.tokenization.scripts import NO_LETTERS, script_of
from evalharness.stack.tokenization.text import TextTokenizer
from evalharness.stack.tokenization.text_files import TextFile
from evalharness.stack.tokenization.text_reading import Counts, Reading, pieces

Grouping = Literal["all", "domain", "file", "script"]
ALL = "all texts"
COUNTED = ("bytes", "characters", "visible", "words", "tokens", "byte_tokens", "missing", "words_missing")

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One tokenizer on one group of texts. A share or rate of nothing is None."""

    grouping: Grouping
    group: str
    tokenizer: str
    bytes: int
    characters: int
    visible: int
    """Characters that are no white space."""
    words: int
    """Runs of such characters."""
    tokens: int
    byte_tokens: int
    """Tokens that are one byte of a character of several bytes."""
    missing: int
    """Visible characters in an unknown token, or in no token at all."""
    words_missing: int
    """Words with such a character."""
    tokens_used: int
    """Different tokens that occur."""
    vocab_size: int

    @property
    def tokens_per_word(self) -> float | None:
        """Fertility (Rust et al. 2021)."""
        return _ratio(self.tokens, self.words)

    @property
    def tokens_per_character(self) -> float | None:
        return _ratio(self.tokens, self.characters)

    @property
    def tokens_per_byte(self) -> float | None:
        return _ratio(self.tokens, self.bytes)

    @property
    def characters_covered(self) -> float | None:
        return _ratio(self.visible - self.missing, self.visible)

    @property
    def words_covered(self) -> float | None:
        return _ratio(self.words - self.words_missing, self.words)

    @property
    def byte_share(self) -> float | None:
        return _ratio(self.byte_tokens, self.tokens)

    @property
    def vocabulary_used(self) -> float | None:
        return _ratio(self.tokens_used, self.vocab_size)


RATES = (
    "tokens_per_word",
    "tokens_per_character",
    "tokens_per_byte",
    "characters_covered",
    "words_covered",
    "byte_share",
    "vocabulary_used",
)
"""The properties of a row."""


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def report(
    tokenizers: Mapping[str, TextTokenizer], files: Sequence[TextFile], reading: Reading | None = None
) -> tuple[list[Row], list[Counts]]:
    """Rows for all texts, each domain, file and script, tokenizer after tokenizer; and what was read of each file.

    A token counts for the line that it begins in, and a line for the script that most of its letters have
    (`script_of`). Texts are encoded without BOS and EOS, in pieces (`pieces`) that are the same for every tokenizer.

    Raises:
        TokenizerError: the texts are empty.
        TextFileError: a file that cannot be read as texts.
    """
    measured = {name: _Measured(tokenizer) for name, tokenizer in tokenizers.items()}
    counts = [Counts() for _ in files]
    for place, (file, found) in enumerate(zip(files, counts, strict=True)):
        for piece in pieces(file, reading or Reading(), found):
            text = _Text(piece)
            for each in measured.values():
                each.add(text, (("all", 0), ("domain", file.domain), ("file", place)))
    if not any(found.characters for found in counts):
        raise TokenizerError("there is nothing to measure: every text is empty; name files with text in them.")
    names = {("file", place): file.name for place, file in enumerate(files)} | {("all", 0): ALL}
    rows = [row for name, each in measured.items() for row in each.rows(name, names)]
    order = {group: place for place, group in enumerate(dict.fromkeys((row.grouping, row.group) for row in rows))}
    return sorted(rows, key=lambda row: order[row.grouping, row.group]), counts


class _Text:
    """A piece with what is known of it without a tokenizer."""

    def __init__(self, text: str) -> None:
        self.text = text
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        different, place = np.unique(points, return_inverse=True)
        self.space = np.array([chr(point).isspace() for point in different])[place]
        begins = ~self.space & np.concatenate(([True], self.space[:-1]))
        self.word_of = np.cumsum(begins) - 1
        self.line_of = np.concatenate(([0], np.cumsum(points == ord("\n"))[:-1]))
        self.lines = int(self.line_of[-1]) + 1
        self.word_line = self.line_of[begins]
        width = 1 + (points >= 0x80).astype(int) + (points >= 0x800) + (points >= 0x10000)
        self.known = np.stack(
            [
                self.per_line(self.line_of, width),
                self.per_line(self.line_of),
                self.per_line(self.line_of[~self.space]),
                self.per_line(self.word_line),
            ]
        )
        self.script_of_line, self.scripts = self._scripts(different, place)

    def per_line(self, lines: Array, weights: Array | None = None) -> Array:
        return np.bincount(lines, weights, minlength=self.lines).astype(np.int64)

    def _scripts(self, different: Array, place: Array) -> tuple[Array, list[str]]:
        """Of each line the number of the script of most of its letters, and the scripts' names."""
        script = [script_of(chr(point)) for point in different]
        names = [NO_LETTERS, *sorted({name for name in script if name is not None})]
        number = np.array([0 if name is None else names.index(name) for name in script])[place]
        letters = number > 0
        cells = self.line_of[letters] * len(names) + number[letters]
        found = np.bincount(cells, minlength=self.lines * len(names)).reshape(self.lines, len(names))
        return found.argmax(axis=1), names


class _Measured:
    """One tokenizer's sums."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer.tokenizer
        self.size = self.tokenizer.get_vocab_size()
        self.unknown = _unknown_id(tokenizer)
        self.is_byte = np.zeros(self._highest() + 1, bool)
        self.is_byte[list(single_byte_ids(self.tokenizer))] = True
        self.sums: dict[Any, Array] = defaultdict(lambda: np.zeros(len(COUNTED), np.int64))
        self.used: dict[Any, Array] = defaultdict(lambda: np.zeros_like(self.is_byte))

    def _highest(self) -> int:
        return max(self.tokenizer.get_vocab().values(), default=0)

    def add(self, text: _Text, groups: Sequence[tuple[Grouping, Any]]) -> None:
        encoding = self.tokenizer.encode(text.text, add_special_tokens=False)
        ids = np.array(encoding.ids, np.int64)
        begin, end = np.array(encoding.offsets, np.int64).reshape(-1, 2).T
        line = text.line_of[np.minimum(begin, len(text.space) - 1)]
        missing = self._missing(text, ids, begin, end)
        lost_words = np.unique(text.word_of[missing])
        counted = np.concatenate(
            [
                text.known,
                [
                    text.per_line(line),
                    text.per_line(line[self.is_byte[ids]]),
                    text.per_line(text.line_of[missing]),
                    text.per_line(text.word_line[lost_words]),
                ],
            ]
        )
        for group in groups:
            self.sums[group] += counted.sum(axis=1)
            self.used[group][ids] = True
        for number in np.unique(text.script_of_line):
            group = ("script", text.scripts[number])
            self.sums[group] += counted[:, text.script_of_line == number].sum(axis=1)
            self.used[group][ids[text.script_of_line[line] == number]] = True

    def _missing(self, text: _Text, ids: Array, begin: Array, end: Array) -> Array:
        """Which visible characters no known token covers."""
        known = ids != self.unknown
        size = len(text.space) + 1
        open_spans = np.bincount(begin[known], minlength=size) - np.bincount(end[known], minlength=size)
        missing: Array = (np.cumsum(open_spans)[:-1] == 0) & ~text.space
        return missing

    def rows(self, name: str, names: Mapping[Any, str]) -> Iterator[Row]:
        order: tuple[Grouping, ...] = ("all", "domain", "file", "script")
        for grouping in order:
            groups = [group for group in self.sums if group[0] == grouping]
            if grouping == "script":  # the others are in the order of the files
                groups.sort(key=lambda group: -int(self.sums[group][COUNTED.index("characters")]))
            for group in groups:
                yield Row(
                    grouping,
                    names.get(group, str(group[1])),
                    name,
                    **dict(zip(COUNTED, map(int, self.sums[group]), strict=True)),
                    tokens_used=int(self.used[group].sum()),
                    vocab_size=self.size,
                )


def _unknown_id(tokenizer: TextTokenizer) -> int:
    """The id that the vocabulary gives to what it does not know; -1 where it has none."""
    model = json.loads(tokenizer.tokenizer.to_str())["model"]
    if "unk_id" in model:
        return -1 if model["unk_id"] is None else int(model["unk_id"])
    id = tokenizer.tokenizer.token_to_id(model.get("unk_token") or "")
    return -1 if id is None else int(id)
