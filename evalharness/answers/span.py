"""A short free text: names, words, phrases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from evalharness.answers.base import pick
from evalharness.answers.braces import closing_brace
from evalharness.answers.marked import MarkedParser
from evalharness.types import Parsed

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`"}
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_ORNAMENT = " \t\r\n:*_"


class SpanParser(MarkedParser):
    """What stands behind a marker, to the end of the line; else the first line (or another, by `otherwise`).

    Of a text that opens with a quotation mark, what is quoted. A full stop at the end, white space, and
    asterisks, underscores and colons around do not belong to it.
    """

    parser: str = "span"
    otherwise: Literal["first_line", "last_line", "nothing"] = "first_line"
    """What is read of a text without a marker."""

    def read_marked(self, text: str, start: int, choices: Sequence[str]) -> Parsed | None:
        if text.startswith("{", start):
            closing = closing_brace(text, start)
            return None if closing is None else _trimmed(text, start + 1, closing)
        line = _LINE.search(text, start)
        return _trimmed(text, *line.span()) if line else None

    def read_unmarked(self, text: str, choices: Sequence[str]) -> Parsed:
        if self.otherwise == "nothing":
            return Parsed(None, why="there is no marker with a text behind it")
        line = pick(_LINE.finditer(text), "last" if self.otherwise == "last_line" else "first")
        found = _trimmed(text, *line.span()) if line else None
        return found or Parsed(None, why="the text is empty")

    def canonical(self, target: str) -> str:
        trimmed = _trimmed(target, 0, len(target))
        return (trimmed and trimmed.value) or target.strip()


def _trimmed(text: str, start: int, end: int) -> Parsed | None:
    """The text between two positions without what does not belong to it; None where nothing is left."""
    bounds = _trim(text, start, end)
    while bounds != (start, end):  # what was taken off may have covered more of it: **"Paris."**
        (start, end), bounds = bounds, _trim(text, *bounds)
    return Parsed(text[start:end], (start, end)) if start < end else None


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    start, end = _strip(text, start, end, _ORNAMENT)
    closing = _QUOTES.get(text[start : start + 1]) if start < end else None
    quoted = text.find(closing, start + 1, end) if closing else -1
    if quoted > start + 1:
        start, end = start + 1, quoted
    if end - start > 1 and text[end - 1] == ".":
        end -= 1
    return start, end


def _strip(text: str, start: int, end: int, characters: str) -> tuple[int, int]:
    """Bounds without the given characters at both ends."""
    while start < end and text[start] in characters:
        start += 1
    while end > start and text[end - 1] in characters:
        end -= 1
    return start, end
