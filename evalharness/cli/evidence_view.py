"""What judges, tools and function calls show of a repeat, as text for people; unseen characters are spelled out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from evalharness.pages.controls import visible
from evalharness.pages.highlight import Highlighter, Language
from evalharness.records.evidence import Evidence, explanations_of, steps_of, tool_uses_of, verdicts_of
from evalharness.records.expected_calls import Argument, Call, calls_of

SHOWN = 3000
"""Characters of a program, or of what it printed, that are shown unless all are asked for."""
HIGHLIGHTED = 200_000
"""Characters of one sample that are highlighted."""

_STYLES = {
    "keyword": "magenta", "name": "blue", "string": "green", "number": "yellow", "comment": "dim italic",
    "unseen": "red reverse", "note": "dim italic",
}  # fmt: skip
_LABELS = {"pass": "green", "ok": "green", "fail": "red"}
_OTHER = "yellow"


def evidence(line: Mapping[str, Any], repeat: Mapping[str, Any], *, full: bool, colour: bool) -> Iterator[Text]:
    """Steps of a loop, uses of tools, function calls beside the expected ones, verdicts, and what metrics explain.

    Args:
        full: show texts whole.
        colour: highlight programs.
    """
    highlighter = Highlighter(HIGHLIGHTED if colour else 0)

    def code(text: str, language: Language) -> Text:
        pieces = highlighter(text, language, most=None if full else SHOWN)
        return Text.assemble(*((part, _STYLES.get(kind, "")) for part, kind in pieces))

    for each in [*steps_of(repeat), *tool_uses_of(repeat)]:
        yield from _shown(each, code)
    if (calls := calls_of(line, repeat)) is not None:
        yield Text("calls", style="cyan")
        for call in calls.calls:
            yield from _call(call)
        if not calls.calls:
            yield Text("  none was made")
    for each in verdicts_of(repeat):
        yield from _shown(each, code)
    for metric, text in explanations_of(repeat).items():
        yield said(f"{metric}: {text}")


def said(value: object, style: str = "") -> Text:
    """A text of a journal; a terminal is told nothing by it."""
    return Text(visible(str(value)), style=style)


def _shown(each: Evidence, code: Any) -> Iterator[Text]:
    head = Text.assemble((visible(each.label), f"bold {_LABELS.get(each.label, _OTHER)}"), f"  {visible(each.title)}")
    if each.in_box:
        head.append("  in box", style="yellow")
    if each.facts:
        head.append(f"  ({visible(each.facts)})", style="dim")
    if each.explanation:
        head.append(f"  {visible(each.explanation)}")
    yield head
    for block in each.blocks:
        yield said(block.title.lower(), "cyan")
        yield code(block.text, block.language)


def _call(call: Call) -> Iterator[Text]:
    head = said(f"  {call.name}")
    if call.fault:
        head.append(f"  {call.fault}", style="bold red")
    yield head
    for argument in call.arguments:
        yield _argument(argument)


def _argument(argument: Argument) -> Text:
    """What was given; where that is wrong, or nothing was, what was expected."""
    told = said(f"    {argument.name}" if argument.given is None else f"    {argument.name}={argument.given}")
    if argument.fault:
        told.append(f"  {argument.fault}", style="bold red")
    if argument.accepted is not None and (argument.fault or argument.given is None):
        told.append(visible(f"  expected: {argument.accepted}"), style="dim")
    return told
