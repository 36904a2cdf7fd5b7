"""The script of a line of text, by a rule that needs no tables beside Python's own."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

NO_LETTERS = "no letters"


@lru_cache(maxsize=1 << 17)
def script_of(character: str) -> str | None:
    """The script of a letter, None of anything else: the first word of its name in Unicode.

    That is the name of its script for living languages (``LATIN SMALL LETTER A``); ``CJK`` stands for Han,
    and ``FULLWIDTH`` and ``HALFWIDTH`` letters belong to what their name goes on with.

    >>> script_of("é"), script_of("я"), script_of("日"), script_of("7")
    ('Latin', 'Cyrillic', 'CJK', None)
    """
    if not character.isalpha():
        return None
    words = unicodedata.name(character, "UNKNOWN").split()
    if words[0] in ("FULLWIDTH", "HALFWIDTH") and len(words) > 1:
        words = words[1:]
    return words[0] if words[0] == "CJK" else words[0].capitalize()
