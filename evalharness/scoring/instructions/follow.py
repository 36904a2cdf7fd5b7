"""Which instructions a response follows, strictly and loosely."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from inspect import signature
from typing import Any

from evalharness.errors import DataError, nearest
from evalharness.scoring.instructions import layout, lengths, wording

Verifier = Callable[..., str | None]
"""From a response, and arguments named as in the data, to None or what is wrong with it."""

VERIFIERS: dict[str, Verifier] = {
    "change_case:capital_word_frequency": wording.capital_word_frequency,
    "change_case:english_capital": wording.english_capital,
    "change_case:english_lowercase": wording.english_lowercase,
    "combination:repeat_prompt": layout.repeat_prompt,
    "combination:two_responses": layout.two_responses,
    "detectable_content:number_placeholders": layout.number_placeholders,
    "detectable_content:postscript": layout.postscript,
    "detectable_format:constrained_response": layout.constrained_response,
    "detectable_format:json_format": layout.json_format,
    "detectable_format:multiple_sections": layout.multiple_sections,
    "detectable_format:number_bullet_lists": layout.number_bullet_lists,
    "detectable_format:number_highlighted_sections": layout.number_highlighted_sections,
    "detectable_format:title": layout.title,
    "keywords:existence": wording.existence,
    "keywords:forbidden_words": wording.forbidden_words,
    "keywords:frequency": wording.frequency,
    "keywords:letter_frequency": wording.letter_frequency,
    "language:response_language": wording.response_language,
    "length_constraints:nth_paragraph_first_word": lengths.nth_paragraph_first_word,
    "length_constraints:number_paragraphs": lengths.number_paragraphs,
    "length_constraints:number_sentences": lengths.number_sentences,
    "length_constraints:number_words": lengths.number_words,
    "punctuation:no_comma": wording.no_comma,
    "startend:end_checker": layout.end_checker,
    "startend:quotation": layout.quotation,
}

_EMPTY = "the response is empty"


@dataclass(frozen=True)
class Followed:
    """What a response makes of the instructions of its prompt."""

    ids: tuple[str, ...]
    strict: tuple[str | None, ...]
    """By instruction, what is wrong with the response as it is; None where it is followed."""
    loose: tuple[bool, ...]
    """By instruction, whether any variant of the response follows it."""

    @cached_property
    def strictly(self) -> tuple[bool, ...]:
        return tuple(problem is None for problem in self.strict)


@lru_cache(maxsize=256)
def follow(target: str, response: str) -> Followed:
    """Verify every instruction of a target against a response; four metrics ask for the same one.

    Args:
        target: JSON ``{"ids": [...], "arguments": [{...}, ...]}``; arguments that are null are left out.

    Raises:
        DataError: the target is something else, an instruction is unknown, or an argument is missing or unknown.
        ServiceError: a package that a verifier needs is not installed.
    """
    ids, verifiers = _read(target)
    tried = variants(response)
    strict = tuple(_EMPTY if not response.strip() else verify(response) for verify in verifiers)
    loose = tuple(
        problem is None or any(verify(variant) is None for variant in tried)
        for problem, verify in zip(strict, verifiers, strict=True)
    )
    return Followed(ids, strict, loose)


def variants(response: str) -> list[str]:
    """What the loose criterion tries beside the response: without first line, last line, both, each also without stars.

    A model that introduces or ends its answer with a sentence of its own, or sets it in bold, is forgiven (Zhou et al.
    2023, section 2.2). Those that are empty or equal an earlier one are left out.
    """
    lines = response.split("\n")
    cut = [response, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    every = dict.fromkeys([*cut, *(text.replace("*", "") for text in cut)])
    return [text for text in every if text.strip() and text != response]


def _read(target: str) -> tuple[tuple[str, ...], list[Callable[[str], str | None]]]:
    try:
        found = json.loads(target)
        ids, arguments = tuple(found["ids"]), found["arguments"]
    except (ValueError, TypeError, KeyError):
        raise DataError(
            f"the target {target!r:.60} is not the JSON of instructions: their ids and arguments."
        ) from None
    if len(ids) != len(arguments) or not ids:
        raise DataError(f"there are {len(ids)} ids of instructions and {len(arguments)} sets of arguments for them.")
    return ids, _verifiers(ids, arguments)


def _verifiers(ids: Sequence[str], arguments: Sequence[Mapping[str, Any] | None]) -> list[Callable[[str], str | None]]:
    found: list[Callable[[str], str | None]] = []
    for id, given in zip(ids, arguments, strict=True):
        if id not in VERIFIERS:
            raise DataError(f"unknown instruction '{id:.60}'; {nearest(id, VERIFIERS)}")
        named = {name: value for name, value in (given or {}).items() if value is not None}
        try:
            signature(VERIFIERS[id]).bind("", **named)
        except TypeError as error:
            raise DataError(f"the instruction '{id}' has other arguments than its kind takes: {error}.") from None
        found.append(partial(VERIFIERS[id], **named))
    return found
