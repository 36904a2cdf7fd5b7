"""Verdicts, uses of tools and function calls as the samples of a page hold them: plain JSON, programs in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evalharness.pages.badges import badge_class
from evalharness.pages.controls import visible
from evalharness.pages.highlight import Highlighter
from evalharness.records.evidence import Evidence, explanations_of, steps_of, tool_uses_of, verdicts_of
from evalharness.records.expected_calls import calls_of

HIGHLIGHTED = 2_000_000
"""Characters of programs and JSON that are highlighted in a page: what takes about two seconds."""


def evidence_of(line: Mapping[str, Any], repeat: Mapping[str, Any], most: int | None) -> dict[str, Any]:
    """What a repeat shows, with keys for what it has. Its texts are whole until `paint` cuts and colours them.

    Args:
        most: characters of a text at most; None is all.
    """
    found: dict[str, Any] = {}
    parts = (("verdicts", verdicts_of(repeat)), ("tool_uses", tool_uses_of(repeat)), ("steps", steps_of(repeat)))
    for key, shown in parts:
        if shown:
            found[key] = [_shown(each, most) for each in shown]
    if (calls := calls_of(line, repeat)) is not None:
        found["function_calls"] = all_visible(asdict(calls))
    if explanations := explanations_of(repeat):
        found["explanations"] = all_visible(explanations)
    return found


def all_visible(value: Any) -> Any:
    """The same JSON with unseen characters spelled out in every text."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(key)): all_visible(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [all_visible(item) for item in value]
    return value


def _shown(each: Evidence, most: int | None) -> dict[str, Any]:
    told: dict[str, Any] = {"title": visible(each.title), "label": visible(each.label)}
    told["class"] = badge_class(each.label)
    for key in ("explanation", "facts"):
        if value := getattr(each, key):
            told[key] = visible(value)
    if each.in_box:
        told["in_box"] = True
    told["blocks"] = [{**block._asdict(), "most": most} for block in each.blocks]
    return told


def paint(views: Sequence[Mapping[str, Any]]) -> None:
    """Make each block's text the list ``[text, kind, text, kind, ...]``, in the order in which samples are listed."""
    highlighter = Highlighter(HIGHLIGHTED)
    for block in _blocks(views):
        pieces = highlighter(block["text"], block.pop("language"), most=block.pop("most"))
        block["text"] = [part for piece in pieces for part in piece]


def _blocks(views: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for view in views:
        for repeat in view["repeats"]:
            for key in ("verdicts", "tool_uses", "steps"):
                for each in repeat.get(key, ()):
                    yield from each["blocks"]
