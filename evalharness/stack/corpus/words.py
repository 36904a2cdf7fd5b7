"""Words as copies and contamination are found by: normalised, hashed, and n in a row as one number."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f"
"""Kana, Chinese characters, Thai: written without spaces, so each character is a word."""
_PIECE = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_NO_LETTER_OR_DIGIT = re.compile(r"[\W_]+")
_MULTIPLIER = 0x9E3779B97F4A7C15
"""Odd, so that multiplying by it loses nothing modulo 2^64 (the golden ratio's, Knuth 6.4)."""


def word_hashes(text: str) -> Hashes:
    """A 64-bit hash of each word of a text.

    A word is what white space surrounds, in lower case, without what is neither letter nor digit (as GPT-3's
    normalisation, arXiv 2005.14165, appendix C); what has nothing left is none. ``"Don't stop
    -- now!"`` has dont, stop, now.
    """
    # Not `findall`, whose list of words takes a dozen times the memory of a text.
    pieces = map(re.Match.group, _PIECE.finditer(text))
    return np.fromiter(filter(None, map(_hash, pieces)), dtype=np.uint64)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where each word of `word_hashes` stands, as positions of characters."""
    return [match.span() for match in _PIECE.finditer(text) if _hash(match.group())]


def ngram_hashes(words: Hashes, n: int) -> Hashes:
    """A hash of each n words in a row, ``sum_j word[i + j] * m^(n - j)`` modulo 2^64, mixed; none where words are
    fewer."""
    count = len(words) - n + 1
    if count < 1:
        return np.empty(0, dtype=np.uint64)
    total = np.zeros(count, dtype=np.uint64)
    for j in range(n):
        total = (total + words[j : j + count]) * np.uint64(_MULTIPLIER)
    return _mixed(total)


def _mixed(values: Hashes) -> Hashes:
    """MurmurHash3's 64-bit finaliser, a bijection, so that every bit depends on every word."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))


@lru_cache(maxsize=1 << 18)
def _hash(piece: str) -> int:
    """0 where nothing is left of it."""
    word = _NO_LETTER_OR_DIGIT.sub("", piece.lower())
    if not word:
        return 0
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1
