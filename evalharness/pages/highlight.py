"""Programs and JSON as pieces of a few kinds, which a page marks by a class and a terminal by a colour.

Pygments reads them; it is imported when the first text is read.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal

from evalharness.pages.controls import parts

Pieces = list[tuple[str, str]]
"""A text in parts, each with its kind: one of `KINDS`, or "" for plain."""
Language = Literal["python", "json", "text"]
KINDS = ("keyword", "name", "string", "number", "comment", "unseen", "note")
"""``name``: of what is defined here, or built in. ``unseen``: a character that is spelled out. ``note``: ours."""

MOST = 20_000
"""Characters of one text that are shown and highlighted, unless more are asked for; a longer one is plain."""
_SPACES = re.compile(r"\s{200,}")
"""Pygments' rule for docstrings looks from every line end through all space behind it, which takes seconds for ten
thousand empty lines: so long a space is no part of what it reads."""


class Highlighter:
    """Highlights until it has read so many characters; what comes after is plain.

    A sample may have a hundred candidates and a report thousands of samples, and Pygments reads a megabyte a second.
    """

    def __init__(self, most: int) -> None:
        self._left = most

    def __call__(self, text: str, language: Language = "text", *, most: int | None = MOST) -> Pieces:
        """The pieces of a text.

        Args:
            most: characters that are shown; the middle of a longer text is left out, with a note. None shows all.
        """
        text = text.replace("\r\n", "\n")
        if most is None or len(text) <= most:
            return self._read(text, language)
        half = most // 2
        note = f"\n[... {len(text) - 2 * half:,} characters are left out here ...]\n"
        return [*self._read(text[:half], language), (note, "note"), *self._read(text[-half:], language)]

    def _read(self, text: str, language: Language) -> Pieces:
        if language == "text" or len(text) > min(MOST, self._left):
            return _seen([(text, "")])
        self._left -= len(text)
        return _seen(_highlighted(text, language))


def _highlighted(text: str, language: Language) -> Pieces:
    found, begin = [], 0
    for space in _SPACES.finditer(text):
        found += [*_lexed(text[begin : space.start()], language), (space[0], "")]
        begin = space.end()
    return found + _lexed(text[begin:], language)


def _lexed(text: str, language: Language) -> Pieces:
    """What Pygments makes of a text, neighbours of one kind joined."""
    pieces: Pieces = []
    for _, token, value in _lexer(language).get_tokens_unprocessed(text):
        kind = _kind(token)
        if pieces and pieces[-1][1] == kind:
            pieces[-1] = (pieces[-1][0] + value, kind)
        else:
            pieces.append((value, kind))
    return pieces


@cache
def _lexer(language: Language) -> Any:
    if language == "python":
        from pygments.lexers.python import PythonLexer

        return PythonLexer()
    from pygments.lexers.data import JsonLexer

    return JsonLexer()


@cache
def _kind(token: Any) -> str:
    from pygments.token import Comment, Keyword, Name, Number, Operator, String

    # Keys of an object are names; a docstring is a string.
    for kind, types in (
        ("keyword", (Keyword, Operator.Word)),
        ("name", (Name.Function, Name.Class, Name.Builtin, Name.Decorator, Name.Exception, Name.Tag)),
        ("string", (String,)),
        ("number", (Number,)),
        ("comment", (Comment,)),
    ):
        if any(token in each for each in types):
            return kind
    return ""


def _seen(pieces: Pieces) -> Pieces:
    """The same with unseen characters as pieces of their own."""
    return [(part, "unseen" if unseen else kind) for text, kind in pieces for part, unseen in parts(text)]
