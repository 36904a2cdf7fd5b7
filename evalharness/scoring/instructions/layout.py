"""What form a response has, what it must contain, how it begins and ends."""

from __future__ import annotations

import json
import re

from evalharness.scoring.instructions.relations import not_exactly, unlike

_STAR_BULLET = re.compile(r"^[^\S\n]*\*[^*].*$", re.MULTILINE)
_DASH_BULLET = re.compile(r"^[^\S\n]*-.*$", re.MULTILINE)
_HIGHLIGHT = re.compile(r"\*[^\n*]*\*")
_DOUBLE_HIGHLIGHT = re.compile(r"\*\*[^\n*]*\*\*")
_PLACEHOLDER = re.compile(r"\[.*?\]")
_TITLE = re.compile(r"<<[^\n]+>>")
_POSTSCRIPTS = {"P.S.": r"p\.\s?s\.", "P.P.S": r"p\.\s?p\.\s?s"}
_FENCES = ("```json", "```Json", "```JSON", "```")
_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_BETWEEN_RESPONSES = "******"


def number_bullet_lists(response: str, *, num_bullets: int) -> str | None:
    """Lines that begin with a star, and no second one, or with a dash."""
    count = len(_STAR_BULLET.findall(response)) + len(_DASH_BULLET.findall(response))
    return not_exactly(count, num_bullets, "bullet points")


def constrained_response(response: str) -> str | None:
    return None if any(option in response for option in _OPTIONS) else "with none of the three answers"


def number_highlighted_sections(response: str, *, num_highlights: int) -> str | None:
    """Passages between single or double stars on one line, with something between them."""
    single = sum(bool(found.strip("*").strip()) for found in _HIGHLIGHT.findall(response))
    double = sum(bool(found[2:-2].strip()) for found in _DOUBLE_HIGHLIGHT.findall(response))
    return unlike(single + double, "at least", num_highlights, "highlighted passages")


def multiple_sections(response: str, *, section_spliter: str, num_sections: int) -> str | None:
    """Sections that begin with a word and a number: ``Section 1``."""
    count = len(re.findall(rf"{re.escape(section_spliter.strip())}\s?\d+", response))
    return unlike(count, "at least", num_sections, "sections")


def json_format(response: str) -> str | None:
    """The whole is JSON, with or without a fence around it."""
    text = response.strip()
    for fence in _FENCES:
        text = text.removeprefix(fence)
    try:
        json.loads(text.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return "no valid JSON"
    return None


def title(response: str) -> str | None:
    """Something stands between ``<<`` and ``>>`` on one line."""
    titles = (found.lstrip("<").rstrip(">").strip() for found in _TITLE.findall(response))
    return None if any(titles) else "without a title in double angular brackets"


def number_placeholders(response: str, *, num_placeholders: int) -> str | None:
    return unlike(len(_PLACEHOLDER.findall(response)), "at least", num_placeholders, "placeholders")


def postscript(response: str, *, postscript_marker: str) -> str | None:
    """The marker is there in any case; of ``P.S.`` and ``P.P.S`` also with spaces between."""
    marker = postscript_marker.strip()
    pattern = _POSTSCRIPTS.get(marker, re.escape(marker.lower()))
    return None if re.search(pattern, response.lower()) else f"without a postscript '{marker:.20}'"


def two_responses(response: str) -> str | None:
    """Two different responses with six stars between them."""
    parts = [part.strip() for part in response.split(_BETWEEN_RESPONSES)]
    if not all(parts[1:-1]):
        return "a response in the middle is empty"
    filled = [part for part in parts if part]
    if len(filled) != 2:
        return f"{len(filled)} responses, not 2"
    return "the two responses are the same" if filled[0] == filled[1] else None


def repeat_prompt(response: str, *, prompt_to_repeat: str) -> str | None:
    """It begins with the request, in any case."""
    begins = response.strip().lower().startswith(prompt_to_repeat.strip().lower())
    return None if begins else "does not begin with the request"


def end_checker(response: str, *, end_phrase: str) -> str | None:
    """It ends with a phrase, in any case; quotation marks around the whole are left out."""
    ends = response.strip().strip('"').lower().endswith(end_phrase.strip().lower())
    return None if ends else f"does not end with '{end_phrase:.40}'"


def quotation(response: str) -> str | None:
    text = response.strip()
    wrapped = len(text) > 1 and text[0] == text[-1] == '"'
    return None if wrapped else "not between double quotation marks"
