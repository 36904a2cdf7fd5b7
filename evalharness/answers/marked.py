"""Answers that a text announces: "#### 18", "the answer is 18", "ANSWER: 18", "\\boxed{18}"."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Annotated

from pydantic import StringConstraints

from evalharness.answers.base import Parser, Which
from evalharness.answers.braces import closing_brace
from evalharness.types import Parsed

Marker = Annotated[str, StringConstraints(min_length=1)]

MARKERS: tuple[Marker, ...] = ("####", "answer is", "answer:", "answer**:", "\\boxed", "\\fbox")
"""What most often announces a final answer; case does not matter."""

_CONTENT = re.compile(r"[^\s:*_]")
_SENTENCE_END = re.compile(r"\n|[.!?](?=\s|$)")


class MarkedParser(Parser):
    """Prefers what stands right behind a marker to what stands elsewhere.

    The markers are tried from the last one in the text to the first (or the other way, by `which`), and the
    first of them that has an answer behind it decides. Where none has, the whole text is read.
    """

    markers: tuple[Marker, ...] = MARKERS
    """Announce the answer; case does not matter. An empty list reads the whole text."""
    which: Which = "last"
    """Of several markers, and of several answers without a marker, the one to take."""

    @abstractmethod
    def read_marked(self, text: str, start: int, choices: Sequence[str]) -> Parsed | None:
        """The answer that the marker which ends at `start` announces, or None."""

    @abstractmethod
    def read_unmarked(self, text: str, choices: Sequence[str]) -> Parsed:
        """The answer of a text in which nothing announces one."""

    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        for start in self._announcements(text):
            answer = self.read_marked(text, start, choices)
            if answer is not None:
                return answer
        return self.read_unmarked(text, choices)

    @cached_property
    def _folded_markers(self) -> tuple[str, ...]:
        return tuple(marker.lower() for marker in self.markers)

    def _announcements(self, text: str) -> list[int]:
        """Where the markers end, in the order in which they are tried."""
        folded = text.lower()
        if len(folded) != len(text):  # a few letters grow when lowered, and positions would shift
            folded = text
        ends = {end for marker in self._folded_markers if marker in folded for end in _ends(folded, marker)}
        return sorted(ends, reverse=self.which == "last")


def _ends(text: str, marker: str) -> Iterator[int]:
    """Where each occurrence of the marker ends; the marker "answer is" is not in "the answer isn't"."""
    at = text.find(marker)
    while at >= 0:
        end = at + len(marker)
        if not (marker[-1].isalpha() and text[end : end + 1].isalpha()):
            yield end
        at = text.find(marker, end)


def announced(text: str, start: int) -> tuple[int, int]:
    """Bounds of what a marker that ends at `start` announces.

    The content of the braces that open right there; else the rest of the sentence, or of the line, that begins
    with the next character that is no white space, colon, asterisk or underscore.
    """
    if text.startswith("{", start):
        closing = closing_brace(text, start)
        return start + 1, len(text) if closing is None else closing
    begin = _CONTENT.search(text, start)
    if begin is None:
        return len(text), len(text)
    end = _SENTENCE_END.search(text, begin.start())
    return begin.start(), end.start() if end else len(text)
