"""How long a response is, and how it falls into paragraphs."""

from __future__ import annotations

import re

from evalharness.scoring.instructions.relations import not_exactly, unlike
from evalharness.scoring.instructions.text_units import count_words, sentences

_DIVIDER = re.compile(r"\s?\*\*\*\s?")
_ENDS_A_WORD = re.compile(r"[.,?!'\"]")


def number_words(response: str, *, num_words: int, relation: str) -> str | None:
    return unlike(count_words(response), relation, num_words, "words")


def number_sentences(response: str, *, num_sentences: int, relation: str) -> str | None:
    return unlike(len(sentences(response)), relation, num_sentences, "sentences")


def number_paragraphs(response: str, *, num_paragraphs: int) -> str | None:
    """Paragraphs with ``***`` between them; an empty one at either end is none, one in the middle is a fault."""
    filled = [bool(paragraph.strip()) for paragraph in _DIVIDER.split(response)]
    if not all(filled[1:-1]):
        return "a paragraph in the middle is empty"
    return not_exactly(sum(filled), num_paragraphs, "paragraphs")


def nth_paragraph_first_word(response: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> str | None:
    """So many paragraphs with an empty line between them, of which the nth begins with a word.

    As in the original, empty paragraphs are not counted, and yet the nth is looked up among all.
    """
    paragraphs = response.split("\n\n")
    count = sum(bool(paragraph.strip()) for paragraph in paragraphs)
    if count != num_paragraphs or nth_paragraph > count:
        return f"{count} paragraphs, not {max(num_paragraphs, nth_paragraph)}"
    words = paragraphs[nth_paragraph - 1].split()
    begins = _ENDS_A_WORD.split(words[0].lstrip("'").lstrip('"'))[0].lower() if words else ""
    return None if begins == first_word.lower() else f"paragraph {nth_paragraph} begins with '{begins:.30}'"
