"""Which of a few verdicts a text gives, by how they are spelled: ``[[A]]``, ``Output (b)``, ``yes``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from evalharness.answers.base import Parser
from evalharness.types import Parsed

Spelling = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Labels = (
    Annotated[dict[Spelling, tuple[Spelling, ...]], Field(min_length=2)]
    | Annotated[tuple[Spelling, ...], Field(min_length=2)]
)

_DENIED = re.compile(r"(?:\bnot|n['’]t)(?:[ \t]+(?:a|an|the))?[ \t]+\Z", re.IGNORECASE)
"""What takes the verdict back that stands right behind it: "not correct"."""


class VerdictParser(Parser):
    """The label whose spelling the text holds; by default none where it holds those of two labels.

    A spelling that begins or ends with a letter is found as a whole word, so that "correct" is not in "incorrect", and
    one that is denied ("not correct", "isn't correct") says nothing.
    """

    parser: str = "verdict"
    labels: Labels
    """The labels; or by label its spellings, where it is not its own: ``{first: ["[[A]]"], second: ["[[B]]"]}``."""
    which: Literal["only", "first", "last"] = "only"
    """Of several labels in one text, the one to take; `only` takes none."""
    ignore_case: bool = True

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        folded = [self._fold(each) for spellings in self.spellings.values() for each in spellings]
        for each in folded:
            if folded.count(each) > 1:
                raise ValueError(f"labels: '{each}' is spelled twice; a verdict has one label.")
        if empty := [label for label, spellings in self.spellings.items() if not spellings]:
            raise ValueError(f"labels: {empty[0]}: the list is empty; give its spellings.")
        return self

    @property
    def spellings(self) -> Mapping[str, tuple[str, ...]]:
        """By label how it is spelled."""
        return self.labels if isinstance(self.labels, dict) else {label: (label,) for label in self.labels}

    def _fold(self, text: str) -> str:
        return text.lower() if self.ignore_case else text

    @cached_property
    def _label_of(self) -> Mapping[str, str]:
        return {self._fold(each): label for label, spellings in self.spellings.items() for each in spellings}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self._label_of, key=len, reverse=True)
        return re.compile("|".join(map(_whole, longest_first)), re.IGNORECASE if self.ignore_case else 0)

    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        found = [match for match in self._pattern.finditer(text) if not _DENIED.search(text[: match.start()][-16:])]
        if not found:
            return Parsed(None, why=f"the text says none of {', '.join(self.spellings)}")
        said = {self._label_of[self._fold(match[0])] for match in found}
        if len(said) > 1 and self.which == "only":
            return Parsed(None, why=f"the text says {' and '.join(sorted(said))}")
        chosen = found[-1] if self.which == "last" else found[0]
        return Parsed(self._label_of[self._fold(chosen[0])], chosen.span())

    def canonical(self, target: str) -> str:
        return self._label_of.get(self._fold(target.strip()), target.strip())


def _whole(spelling: str) -> str:
    before = r"(?<!\w)" if re.match(r"\w", spelling[0]) else ""
    after = r"(?!\w)" if re.match(r"\w", spelling[-1]) else ""
    return before + re.escape(spelling) + after
