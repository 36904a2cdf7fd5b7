"""What a solution puts into a LaTeX box."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evalharness.answers.base import Parser, Which, pick
from evalharness.answers.braces import closing_brace
from evalharness.types import Parsed

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_UNBRACED = re.compile(r"[^\s$,;]+")
"""``\\boxed 5``: to the next white space, comma or end of the formula."""


class BoxedParser(Parser):
    r"""The content of ``\boxed{...}`` or ``\fbox{...}``, braces inside braces included.

    White space and dollar signs around the content do not belong to it. A box that is never closed, as in a
    truncated text, holds no answer.
    """

    parser: str = "boxed"
    which: Which = "last"
    """Of several complete boxes, the one to take."""

    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        boxes = [_content(text, box.end()) for box in _BOX.finditer(text)]
        bounds = pick(filter(None, boxes), self.which)
        if bounds is not None:
            return _stripped(text, *bounds)
        return Parsed(None, why="the box in the text is never closed" if boxes else "there is no box in the text")

    def canonical(self, target: str) -> str:
        return self.parse(target).value or target.strip("$ \n\t")


def _content(text: str, start: int) -> tuple[int, int] | None:
    if text.startswith("{", start):
        closing = closing_brace(text, start)
        return None if closing is None else (start + 1, closing)
    unbraced = _UNBRACED.match(text, start)
    return unbraced.span() if unbraced else None


def _stripped(text: str, start: int, end: int) -> Parsed:
    value = text[start:end].strip("$ \n\t")
    if not value:
        return Parsed(None, why="the box in the text is empty")
    start = text.index(value, start)
    return Parsed(value, (start, start + len(value)))
