"""Fertility, coverage and use of the vocabulary against numbers counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stack.tokenization.small_texts import TEXT, text_file, trained

from evalharness.stack.errors import TokenizerError
from evalharness.stack.tokenization.report import Row, report
from evalharness.stack.tokenization.text import TextTokenizer
from evalharness.stack.tokenization.text_reading import PIECE

TWO_SCRIPTS = "Two words.\n\nдва слова\n12 + 3\n"


def rows(folder: Path, text: str, **tokenizers: TextTokenizer) -> dict[tuple[str, str, str], Row]:
    found, _ = report(tokenizers, [text_file(folder, text, "mine.txt")])
    return {(row.grouping, row.group, row.tokenizer): row for row in found}


def test_bytes_are_counted_by_hand(tmp_path: Path) -> None:
    found = rows(tmp_path, TWO_SCRIPTS, bytes=trained(tmp_path, kind="bytes"))
    row = found["all", "all texts", "bytes"]
    assert (row.characters, row.visible, row.words) == (29, 9 + 8 + 4, 7)
    assert row.bytes == row.tokens == len(TWO_SCRIPTS.encode()) == 29 + 8
    assert row.byte_tokens == 2 * 8
    assert row.tokens_used == len(set(TWO_SCRIPTS.encode()))
    assert (row.tokens_per_byte, row.tokens_per_word, row.tokens_per_character) == (1, 37 / 7, 37 / 29)
    assert (row.characters_covered, row.words_covered, row.byte_share) == (1, 1, 16 / 37)
    assert row.vocabulary_used == row.tokens_used / 257


def test_a_line_belongs_to_the_script_of_most_of_its_letters(tmp_path: Path) -> None:
    found = rows(tmp_path, TWO_SCRIPTS + "я and more\n", bytes=trained(tmp_path, kind="bytes"))
    lines = {row.group: (row.words, row.characters, row.tokens) for key, row in found.items() if key[0] == "script"}
    assert lines == {"Latin": (2 + 3, 11 + 11, 11 + 12), "Cyrillic": (2, 10, 18), "no letters": (3, 8, 8)}
    assert found["script", "Cyrillic", "bytes"].tokens_used == len(set("два слова\n".encode()))


def test_what_is_not_in_the_vocabulary(tmp_path: Path) -> None:
    """Learned from a, b and c: d is unknown, as the word that it is in."""
    learned = "abc cab bca " * 5
    text = "abc dab c d\n"
    options: dict[str, Any] = {"vocab_size": 20}
    bpe = trained(tmp_path, learned + "\n", kind="bpe", **options)
    unigram = trained(tmp_path, learned + "\n", kind="unigram", **options)
    wordpiece = trained(tmp_path, learned, kind="wordpiece", **options)
    bytes_too = trained(tmp_path, learned + "\n", kind="bpe", vocab_size=280, byte_fallback=True)
    byte_level = trained(tmp_path, learned, kind="byte_bpe", vocab_size=270)
    found = rows(tmp_path, text, bpe=bpe, unigram=unigram, wordpiece=wordpiece, bytes=bytes_too, level=byte_level)
    lost = {name: (row.missing, row.words_missing) for (grouping, _, name), row in found.items() if grouping == "all"}
    assert lost == {"bpe": (2, 2), "unigram": (2, 2), "wordpiece": (4, 2), "bytes": (0, 0), "level": (0, 0)}
    row = found["all", "all texts", "bpe"]
    assert (row.characters_covered, row.words_covered) == (6 / 8, 2 / 4)


def test_single_bytes_of_characters(tmp_path: Path) -> None:
    """ASCII is never counted: a byte is all of such a character."""
    text = "aé d\n"
    byte_level = trained(tmp_path, "ab " * 9, kind="byte_bpe", vocab_size=258)
    fallback = trained(tmp_path, "ab \n" * 9, kind="unigram", vocab_size=300, byte_fallback=True)
    found = rows(tmp_path, text, level=byte_level, fallback=fallback)
    assert {row.tokenizer: row.byte_tokens for row in found.values()} == {"level": 2, "fallback": 2}


def test_files_domains_and_all_add_up(tmp_path: Path) -> None:
    tokenizer = trained(tmp_path, vocab_size=500)
    files = [
        text_file(tmp_path, TEXT, "a.txt"),
        text_file(tmp_path, TWO_SCRIPTS, "b.txt"),
        text_file(tmp_path, "", "c.txt"),
    ]
    found, counts = report({"mine": tokenizer}, files)
    for grouping in ("all", "file", "domain", "script"):
        own = [row for row in found if row.grouping == grouping]
        assert sum(row.tokens for row in own) == sum(len(tokenizer.encode(text)) for text in (TEXT, TWO_SCRIPTS))
        assert sum(row.words for row in own) == len((TEXT + TWO_SCRIPTS).split())
        assert sum(row.bytes for row in own) == len((TEXT + TWO_SCRIPTS).encode())
    assert [file.characters for file in counts] == [len(TEXT), len(TWO_SCRIPTS), 0]
    assert [row.group for row in found if row.grouping == "file"] == ["a.txt", "b.txt"]


def test_a_long_text_is_counted_in_pieces(tmp_path: Path) -> None:
    text = TWO_SCRIPTS * (3 * PIECE // len(TWO_SCRIPTS))
    row = rows(tmp_path, text, bytes=trained(tmp_path, kind="bytes"))["all", "all texts", "bytes"]
    assert (row.words, row.tokens) == (len(text.split()), len(text.encode()))


def test_tokenizers_of_a_group_follow_each_other(tmp_path: Path) -> None:
    one, other = trained(tmp_path, vocab_size=300), trained(tmp_path, vocab_size=600)
    found, _ = report({"one": one, "other": other}, [text_file(tmp_path)])
    assert [row.tokenizer for row in found] == ["one", "other"] * (len(found) // 2)
    assert all(other.tokens < one.tokens for one, other in zip(found[::2], found[1::2], strict=True))


def test_normalisation_that_leaves_characters_out(tmp_path: Path) -> None:
    """A combining mark that is stripped is in no token."""
    tokenizer = trained(tmp_path, vocab_size=300, strip_accents=True)
    row = rows(tmp_path, "ae\u0301 b", mine=tokenizer)["all", "all texts", "mine"]
    assert (row.missing, row.words_missing) == (1, 1)


def test_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="every text is empty"):
        rows(tmp_path, "", mine=trained(tmp_path, vocab_size=300))
