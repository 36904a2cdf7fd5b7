"""Filters: whether a document is long enough, in a wanted language, of text, and not of repetitions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from evalharness.stack.corpus.languages import KNOWN, language_of
from evalharness.stack.corpus.options import (
    FilterOptions,
    LanguageOptions,
    LengthOptions,
    QualityOptions,
    RepetitionOptions,
)
from evalharness.stack.errors import CorpusError

STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))
_BULLETS = ("•", "-", "*", "‣", "●")
_ELLIPSES = ("...", "…")
_NONE = FilterOptions()
_LETTER = re.compile(r"[^\W\d_]")


def check_filters(options: FilterOptions) -> None:
    """Raises CorpusError where a language is asked for that cannot be told."""
    for language in options.language.keep if options.language else ():
        if language not in KNOWN:
            raise CorpusError(f"filters.language.keep: '{language}' cannot be told; known: {', '.join(KNOWN)}.")


def removed_by(text: str, options: FilterOptions) -> str | None:
    """The first filter that removes a document, with its rule: ``"quality: mean word length"``; None where it stays."""
    if options == _NONE:
        return None
    words = text.split()
    if options.length and (rule := _length(text, words, options.length)):
        return f"length: {rule}"
    if options.language and (rule := _language(text, options.language)):
        return f"language: {rule}"
    if options.quality and (rule := _quality(text, words, options.quality)):
        return f"quality: {rule}"
    if options.repetition and (rule := _repetition(text, words, options.repetition)):
        return f"repetition: {rule}"
    return None


def _length(text: str, words: Sequence[str], options: LengthOptions) -> str | None:
    if len(words) < options.min_words:
        return "too few words"
    if options.max_words is not None and len(words) > options.max_words:
        return "too many words"
    if len(text) < options.min_characters:
        return "too few characters"
    if options.max_characters is not None and len(text) > options.max_characters:
        return "too many characters"
    return None


def _language(text: str, options: LanguageOptions) -> str | None:
    language, share = language_of(text)
    if share < options.min_share:
        return "not told"
    return None if language in options.keep else language


def _quality(text: str, words: Sequence[str], options: QualityOptions) -> str | None:
    count = len(words)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not count:
        return "number of words"
    ellipses = sum(text.count(ellipsis) for ellipsis in _ELLIPSES)
    rules = {
        "number of words": not options.min_words <= count <= options.max_words,
        "mean word length": not options.min_mean_word_length
        <= sum(map(len, words)) / count
        <= options.max_mean_word_length,
        "symbols": max(text.count("#"), ellipses) / count > options.max_symbols_per_word,
        "bullet lines": sum(line.startswith(_BULLETS) for line in lines) / len(lines) > options.max_bullet_lines,
        "ellipsis lines": sum(line.endswith(_ELLIPSES) for line in lines) / len(lines) > options.max_ellipsis_lines,
        "alphabetic words": sum(_LETTER.search(word) is not None for word in words) / count
        < options.min_alphabetic_words,
        "stop words": len(STOP_WORDS.intersection(word.lower() for word in words)) < options.min_stop_words,
    }
    return next((rule for rule, broken in rules.items() if broken), None)


def _repetition(text: str, words: Sequence[str], options: RepetitionOptions) -> str | None:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    paragraphs = [paragraph.strip() for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]
    for unit, parts, most, most_characters in (
        ("lines", lines, options.max_duplicate_lines, options.max_duplicate_line_characters),
        ("paragraphs", paragraphs, options.max_duplicate_paragraphs, options.max_duplicate_paragraph_characters),
    ):
        repeated = [part for part, count in Counter(parts).items() for _ in range(count - 1)]
        if parts and len(repeated) / len(parts) > most:
            return f"duplicate {unit}"
        if sum(map(len, repeated)) / max(1, len(text)) > most_characters:
            return f"characters in duplicate {unit}"
    characters = max(1, sum(map(len, words)))
    for n, most in options.max_top_ngrams.items():
        counts = Counter(zip(*(words[start:] for start in range(n)), strict=False))
        if not counts:
            continue
        ngram, count = max(counts.items(), key=lambda item: (item[1], sum(map(len, item[0]))))
        if count > 1 and count * sum(map(len, ngram)) / characters > most:
            return f"one {n}-gram over and over"
    return None
