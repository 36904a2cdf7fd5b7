"""The whole text as the answer."""

from __future__ import annotations

from collections.abc import Sequence

from evalharness.answers.base import Parser
from evalharness.types import Parsed


class TextParser(Parser):
    """The text without the white space around it."""

    parser: str = "text"

    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        value = text.strip()
        if not value:
            return Parsed(None, why="the text is empty")
        start = len(text) - len(text.lstrip())
        return Parsed(value, (start, start + len(value)))
