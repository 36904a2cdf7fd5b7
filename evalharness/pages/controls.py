"""Characters that are not seen, or that a terminal obeys, spelled out: what a model wrote may hold any of them.

Among them are those that turn the direction of a line around, so that a program reads otherwise than it runs
(Boucher and Anderson 2021, arXiv:2111.00169), and the escape sequences of terminals. Line ends and tabs stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# The joiners U+200C and U+200D stay too: scripts of India and Persia, and emoji, are spelled with them.
_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # the controls of ASCII and of Latin-1
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, a mark of direction, fillers
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"  # no width, other line ends, directions
    "\u3164\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # fillers, notes, tags
    "\ud800-\udfff"  # halves of characters, which JSON can spell and UTF-8 cannot
    "]|\r(?!\n)"
)


def parts(text: str) -> Iterator[tuple[str, bool]]:
    """The text in parts, each with whether it spells an unseen character: ``("a", False), ("\\\\x1b", True)``."""
    begin = 0
    for found in _UNSEEN.finditer(text):
        if found.start() > begin:
            yield text[begin : found.start()], False
        yield _spelled(found[0]), True
        begin = found.end()
    if begin < len(text):
        yield text[begin:], False


def visible(text: str) -> str:
    """The text with every unseen character spelled as Python spells it, fit for a terminal.

    >>> visible("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return _UNSEEN.sub(lambda found: _spelled(found[0]), text)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()
