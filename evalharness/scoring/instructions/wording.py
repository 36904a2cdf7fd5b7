"""Which words, letters, cases and marks a response has, and in which language it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evalharness.scoring.instructions.relations import unlike
from evalharness.scoring.instructions.text_units import capital_words, language_of


def existence(response: str, *, keywords: Sequence[str]) -> str | None:
    """Every keyword is there, in any case and inside of words too."""
    missing = [word for word in keywords if not _found(re.escape(word), response)]
    return f"without '{missing[0]:.40}'" if missing else None


def frequency(response: str, *, keyword: str, frequency: int, relation: str) -> str | None:
    """A keyword is there so often, in any case and inside of words too."""
    count = len(re.findall(re.escape(keyword.strip()), response, re.IGNORECASE))
    return unlike(count, relation, frequency, f"times '{keyword:.40}'")


def forbidden_words(response: str, *, forbidden_words: Sequence[str]) -> str | None:
    """None of the words is there, in any case, as a whole word."""
    present = [word for word in forbidden_words if _found(rf"\b{re.escape(word)}\b", response)]
    return f"with '{present[0]:.40}'" if present else None


def letter_frequency(response: str, *, letter: str, let_frequency: int, let_relation: str) -> str | None:
    """A letter is there so often, in any case."""
    return unlike(response.lower().count(letter.strip().lower()), let_relation, let_frequency, f"times '{letter}'")


def capital_word_frequency(response: str, *, capital_frequency: int, capital_relation: str) -> str | None:
    return unlike(len(capital_words(response)), capital_relation, capital_frequency, "words in capitals")


def english_capital(response: str) -> str | None:
    """English in capitals; a text whose language cannot be told counts as English, as in the original."""
    return "not all in capitals" if not response.isupper() else _other_language(response, "en")


def english_lowercase(response: str) -> str | None:
    """English without capitals; a text whose language cannot be told counts as English, as in the original."""
    return "not all in lower case" if not response.islower() else _other_language(response, "en")


def response_language(response: str, *, language: str) -> str | None:
    """The whole is in a language; a text whose language cannot be told counts, as in the original."""
    return _other_language(response, language)


def no_comma(response: str) -> str | None:
    return "with a comma" if "," in response else None


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


def _other_language(response: str, wanted: str) -> str | None:
    found = language_of(response)
    return None if found in (wanted, None) else f"its language is '{found}', not '{wanted}'"
