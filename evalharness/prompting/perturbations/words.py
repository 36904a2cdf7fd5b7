"""Which words of a text may be changed: prose, and neither numbers, formulas, code nor placeholders."""

from __future__ import annotations

import re
from collections.abc import Callable

_TOKEN = re.compile(r"\S+")
_PROSE = re.compile(r"""["'“‘(\[«¿¡*]*(?P<word>[^\W\d_]+(?:['’-][^\W\d_]+)*)["'”’)\]».,;:!?…*]*""")
_OF_ONE_LETTER = ("a", "A", "I")


def changed_words(text: str, change: Callable[[str], str]) -> str:
    """The text with `change` applied to every word of prose in it, in order.

    A word is a run of letters, apostrophes and hyphens inside, between white space and punctuation. Left alone is what
    holds a digit or another sign (``x_1``, ``a/b``, ``<b>``, a formula), a letter that is no word (``A)``, ``x``), and
    what is written in capitals throughout, which may be a placeholder: ``[MASK]``, ``NASA``.
    """

    def token(found: re.Match[str]) -> str:
        prose = _PROSE.fullmatch(found[0])
        if prose is None or not is_prose(prose["word"], alone=prose["word"] == found[0]):
            return found[0]
        begin, end = prose.span("word")
        return found[0][:begin] + change(prose["word"]) + found[0][end:]

    return _TOKEN.sub(token, text)


def is_prose(word: str, *, alone: bool) -> bool:
    """Whether a run of letters is a word that may be changed; `alone`: no punctuation stands beside it."""
    return (alone and word in _OF_ONE_LETTER) or (len(word) > 1 and not word.isupper())


def prose_at_end(text: str) -> bool:
    """Whether a text ends in a word of prose with no punctuation after it."""
    return _bare(text.rsplit(maxsplit=1)[-1:], begins=False)


def prose_at_start(text: str) -> bool:
    """Whether a text begins with a word of prose with no punctuation before it."""
    return _bare(text.split(maxsplit=1)[:1], begins=True)


def _bare(token: list[str], *, begins: bool) -> bool:
    prose = _PROSE.fullmatch(token[0]) if token else None
    if prose is None or not is_prose(prose["word"], alone=prose["word"] == token[0]):
        return False
    return prose.start("word") == 0 if begins else prose.end("word") == len(token[0])
