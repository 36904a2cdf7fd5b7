"""The letter of a choice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import ClassVar, NamedTuple

from pydantic import Field

from evalharness.answers.base import pick
from evalharness.answers.marked import MARKERS, MarkedParser, Marker, announced
from evalharness.types import Parsed

_OPENING = r"[\s:*_\"'“(\[{$`]*"
_NAMED = r"(?:(?:the|option|choice|answer|letter)\s+|\\[a-z]+\{)*"
_CLOSING = r"(?:[)\].:,;*_\"”}$`]|'(?!\w))"


class _Forms(NamedTuple):
    """Patterns of a letter of the first n, in the order in which they are tried; the letter is their only group."""

    announced: re.Pattern[str]
    """Right behind a marker: "**B**", "option (b)", "\\text{B}"."""
    opening: re.Pattern[str]
    """At the beginning of the text, alone or set apart: "B", "b.", "(B) Paris"."""
    enclosed: re.Pattern[str]
    """Anywhere, set apart by brackets or asterisks: "(B)", "**B**"."""
    bare: re.Pattern[str]
    """Anywhere, as a capital that is a word by itself and neither an article nor a pronoun."""


class ChoiceParser(MarkedParser):
    """A letter behind a marker, at the beginning of the text, in brackets, or standing alone; in this order.

    Where there is no letter at all and the text says exactly one of the sample's choices in words, the
    letter of that one. The value is the capital letter. A list of the options, line by line from A on, says none of
    them, unless a marker announces it.
    """

    version: ClassVar[int] = 2
    parser: str = "choice"
    markers: tuple[Marker, ...] = (
        *MARKERS,
        "option is",
        "choice is",
        "letter is",
        "correct option:",
        "correct choice:",
    )
    letters: int = Field(4, ge=2, le=26)
    """Letters that count, from A on, where the sample's own choices are not known."""
    by_text: bool = True
    """Know a choice by its words where no letter is found."""

    def read_marked(self, text: str, start: int, choices: Sequence[str]) -> Parsed | None:
        found = self._forms(choices).announced.match(text, start)
        if found:
            return _letter(found)
        return _by_text(text, *announced(text, start), choices) if self.by_text else None

    def read_unmarked(self, text: str, choices: Sequence[str]) -> Parsed:
        forms = self._forms(choices)
        text = _unlisted(text)
        found = (
            forms.opening.match(text)
            or pick(forms.enclosed.finditer(text), self.which)
            or pick(forms.bare.finditer(text), self.which)
        )
        if found:
            return _letter(found)
        by_text = _by_text(text, 0, len(text), choices) if self.by_text else None
        return by_text or Parsed(None, why=f"no letter of the {self._count(choices)} choices is in the text")

    def canonical(self, target: str) -> str:
        found = _forms(26).opening.fullmatch(target.strip())
        return found[found.lastindex or 0].upper() if found else target.strip()

    def canonical_choice(self, position: int, choices: Sequence[str]) -> str:
        return chr(ord("A") + position)

    def _count(self, choices: Sequence[str]) -> int:
        return min(len(choices), 26) or self.letters

    def _forms(self, choices: Sequence[str]) -> _Forms:
        return _forms(self._count(choices))


@cache
def _forms(count: int) -> _Forms:
    upper = f"[A-{chr(ord('A') + count - 1)}]"
    lower = upper.lower()
    apart = rf"(?={_CLOSING}|\s*(?:\n|\Z))"
    bare = rf"(?<![\w'’\\-])(?![AI]\s+[a-z])({upper})(?![\w'’-])"
    return _Forms(
        announced=re.compile(rf"{_OPENING}(?i:{_NAMED}){_OPENING}(?:({upper})(?![\w'’])|({lower}){apart})"),
        opening=re.compile(rf"{_OPENING}(?:({upper}){apart}|({lower})(?=[)\].]|\s*\Z)){_CLOSING}*"),
        enclosed=re.compile(rf"[(\[]({upper})[)\]]|\*\*({upper})(?=[*).:])"),
        bare=re.compile(bare),
    )


def _listing() -> re.Pattern[str]:
    """Lines that begin with A, B and so on: options that are listed, not chosen."""

    def line(letter: str) -> str:
        return rf"[ \t*(\[-]*{letter}[ \t]*[).:\]][^\n]*"

    further = ""
    for letter in "ZYXWVUTSRQPONMLKJIHGFEDC":
        further = rf"(?:\n\s*{line(letter)}{further})?"
    return re.compile(rf"^{line('A')}\n\s*{line('B')}{further}", re.MULTILINE)


_LISTED = _listing()


def _unlisted(text: str) -> str:
    """The text with spaces in place of lists of options, so that everything else stays where it is."""
    return _LISTED.sub(lambda listed: " " * len(listed[0]), text)


def _letter(found: re.Match[str]) -> Parsed:
    group = found.lastindex or 0
    return Parsed(found[group].upper(), found.span(group))


_WORD = re.compile(r"\w+")


def _by_text(text: str, start: int, end: int, choices: Sequence[str]) -> Parsed | None:
    """The one choice that is said in words, case and punctuation aside; None for none or several.

    Longer choices are looked for first and hide what they cover: "guilty" is not said by "not guilty" where
    both are choices. A choice that is itself one letter is not known by its words.
    """
    if not choices:
        return None
    words = list(_WORD.finditer(text, start, end))
    said = _joined([word[0] for word in words])
    found: dict[int, tuple[int, int]] = {}
    for position in sorted(range(len(choices)), key=lambda i: -len(choices[i])):
        wording = _WORD.findall(choices[position])
        at = said.find(_joined(wording)) if len("".join(wording)) > 1 or "".join(wording).isdigit() else -1
        if at >= 0:
            first = said.count(" ", 0, at)
            found[position] = words[first].start(), words[first + len(wording) - 1].end()
            said = said.replace(_joined(wording), _joined(["\0"] * len(wording)))
    if len(found) != 1:
        return None
    ((position, span),) = found.items()
    return Parsed(chr(ord("A") + position), span)


def _joined(words: Sequence[str]) -> str:
    """The words in one case with a space before and behind each, so that whole words can be looked for."""
    return f" {' '.join(words)} ".casefold()
