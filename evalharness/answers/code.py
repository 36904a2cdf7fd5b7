"""A program in what a model wrote: the text as it is, or what stands between code fences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from evalharness.answers.base import Parser, Which, pick
from evalharness.types import Parsed

_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})(?P<info>[^\n`]*)(?:\n|\Z)", re.MULTILINE)
"""A line that opens or closes a block: three backticks or tildes, or more, and what is said of its language."""


class CodeParser(Parser):
    """A program, to the character: no space is taken from its beginning, where Python's indentation stands.

    A block begins behind a line of three backticks or tildes, or more (CommonMark 0.31, 4.5), and ends before the next
    line of at least as many and nothing else, or with the text, where a completion was cut or stopped. What its first
    line is indented by is taken from all of its lines, as far as they have it.
    """

    parser: str = "code"
    form: Literal["completion", "fenced", "auto"] = "auto"
    """completion: the whole text, which goes on where the prompt ended. fenced: the content of a fenced block. auto: of
    a fenced block where there is one, else the whole text."""
    which: Which = "first"
    """Of several fenced blocks, the one to take."""

    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        block = None if self.form == "completion" else pick(_blocks(text), self.which)
        if block is None and self.form == "fenced":
            return Parsed(None, why="there is no fenced block in the text")
        start, end, indent = block or (0, len(text), 0)
        program = text[start:end]
        if not program.strip():
            return Parsed(None, why="the text is empty" if block is None else "the fenced block is empty")
        if indent:
            program = re.sub(rf"^[ \t]{{1,{indent}}}", "", program, flags=re.MULTILINE)
        return Parsed(program, (start, end))

    def canonical(self, target: str) -> str:
        return target


def _blocks(text: str) -> Iterator[tuple[int, int, int]]:
    """Bounds of what each fenced block holds, in order, and how far its opening is indented."""
    at = 0
    while opening := _FENCE.search(text, at):
        start, mark, indent = opening.end(), opening["mark"], len(opening["indent"])
        closing = next(
            (
                fence
                for fence in _FENCE.finditer(text, start)
                if fence["mark"].startswith(mark) and not fence["info"].strip()
            ),
            None,
        )
        if closing is None:
            yield start, len(text), indent
            return
        yield start, closing.start(), indent
        at = closing.end()
