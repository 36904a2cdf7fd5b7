"""lm-eval's filters by their own names, each with exactly the results of lm-eval 0.4.13.

A filter maps the texts of one sample to texts. `Extract` carries along where in the completion a text stands.
"""

from __future__ import annotations

import re
import unicodedata
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, field_validator

from evalharness.answers.base import pick
from evalharness.errors import DataError, nearest
from evalharness.options import Options, parse_options

INVALID = "[invalid]"
"""lm-eval's mark for a text in which nothing was found."""


@dataclass(frozen=True, slots=True)
class Extract:
    """A text on its way through the filters."""

    text: str
    span: tuple[int, int] | None
    """Where it stands in the completion; None for a text that does not stand there."""
    why: str | None = None
    """Set where the text stands for "nothing was found"."""

    def part(self, start: int, end: int, text: str) -> Extract:
        """What stands between two positions of this text and reads `text` once white space is stripped."""
        if self.span is None or self.span[1] - self.span[0] != len(self.text):
            return Extract(text, self.span)
        raw = self.text[start:end]
        start += len(raw) - len(raw.lstrip())
        return Extract(text, (self.span[0] + start, self.span[0] + start + len(text)))


class Filter(Options):
    """One step. Its keys are lm-eval's."""

    function: str

    @abstractmethod
    def apply(self, extracts: list[Extract], choices: Sequence[str]) -> list[Extract]:
        """The texts of one sample after this step.

        Raises:
            ValueError: the sample has fewer texts than the step needs.
        """


class Regex(Filter):
    """The `group_select`-th match; of its groups the first that is not empty. Stripped."""

    function: Literal["regex"] = "regex"
    regex_pattern: str = r"#### (\-?[0-9\.\,]+)"
    group_select: int = 0
    fallback: str = INVALID
    """Takes the place of a text in which nothing matches."""

    @field_validator("regex_pattern")
    @classmethod
    def _compilable(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}.") from None
        return pattern

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.regex_pattern)

    def apply(self, extracts: list[Extract], choices: Sequence[str]) -> list[Extract]:
        return [self._find(self._compiled, extract) or self._nothing(extract) for extract in extracts]

    def _find(self, pattern: re.Pattern[str], extract: Extract) -> Extract | None:
        match = self._select(pattern, extract.text)
        if match is None:
            return None
        if pattern.groups <= 1:
            group = pattern.groups
        else:
            group = next((i for i in range(1, pattern.groups + 1) if match[i]), -1)
            if group < 0:
                return None
        return extract.part(*match.span(group), (match[group] or "").strip())

    def _select(self, pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
        """The selected match; None too where lm-eval would raise an IndexError because there are too few."""
        if self.group_select in (0, -1):
            return pick(pattern.finditer(text), "first" if self.group_select == 0 else "last")
        matches = list(pattern.finditer(text))
        in_range = -len(matches) <= self.group_select < len(matches)
        return matches[self.group_select] if in_range else None

    def _nothing(self, extract: Extract) -> Extract:
        why = f"nothing matches {self.regex_pattern}" if self.fallback == INVALID else None
        return Extract(self.fallback, None, why)


class MultiChoiceRegex(Regex):
    """A letter in brackets: by the expression, else by the words of a choice, else the letter behind a colon."""

    function: Literal["multi_choice_regex"] = "multi_choice_regex"  # type: ignore[assignment]
    ignore_case: bool = False
    ignore_punctuation: bool = False
    """Characters of the Unicode categories P*."""
    regexes_to_ignore: tuple[str, ...] = ()

    def apply(self, extracts: list[Extract], choices: Sequence[str]) -> list[Extract]:
        letters = [chr(ord("A") + i) for i in range(len(choices))]
        wordings = [self._ignore(choice.strip()) for choice in choices]
        by_wording = dict(zip(wordings, (f"({letter})" for letter in letters), strict=True))
        wording = re.compile("|".join(sorted(map(re.escape, wordings), key=len, reverse=True)))
        behind_colon = re.compile(rf":[\s]*({'|'.join(letters)})")
        by_letter = {letter: f"({letter})" for letter in letters}
        return [
            self._found(self._compiled, extract, {})
            or self._found(wording, replace(extract, text=self._ignore(extract.text)), by_wording)
            or self._found(behind_colon, extract, by_letter)
            or self._nothing(extract)
            for extract in extracts
        ]

    def _found(self, pattern: re.Pattern[str], extract: Extract, names: Mapping[str, str]) -> Extract | None:
        found = self._find(pattern, extract)
        if found is None or not found.text:
            return None
        return replace(found, text=names.get(found.text, found.text))

    def _ignore(self, text: str) -> str:
        for pattern in self.regexes_to_ignore:
            text = re.sub(pattern, "", text)
        if self.ignore_case:
            text = text.lower()
        if self.ignore_punctuation:
            text = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
        return text


class RemoveWhitespace(Filter):
    """Stripped."""

    function: Literal["remove_whitespace"] = "remove_whitespace"

    def apply(self, extracts: list[Extract], choices: Sequence[str]) -> list[Extract]:
        return [
            replace(extract.part(0, len(extract.text), extract.text.strip()), why=extract.why) for extract in extracts
        ]


class Lowercase(Filter):
    """In lower case."""

    function: Literal["lowercase"] = "lowercase"

    def apply(self, extracts: list[Extract], choices: Sequence[str]) -> list[Extract]:
        return [replace(extract, text=extract.text.lower()) for extract in extracts]


class Uppercase(Filter):
    """In upper case."""

    function: Literal["uppercase"] = "uppercase"

    def apply(self, extracts: list[Extract], choices: Sequence[str]) -> list[Extract]:
        return [replace(extract, text=extract.text.upper()) for extract in extracts]


class Map(Filter):
    """What `mapping_dict` has for the text, else `default_value`, else nothing."""

    function: Literal["map"] = "map"
    mapping_dict: dict[str, str] = Field(default_factory=dict)
    default_value: str | None = None

    def apply(self, extracts: list[Extract], choices: Sequence[str]) -> list[Extract]:
        return [self._mapped(extract) for extract in extracts]

    def _mapped(self, extract: Extract) -> Extract:
        value = self.mapping_dict.get(extract.text, self.default_value)
        if value is None:
            return Extract("", extract.span, extract.why or f"{extract.text!r} is not in mapping_dict")
        return Extract(value, extract.span)


class TakeFirstK(Filter):
    """The first k texts."""

    function: Literal["take_first_k"] = "take_first_k"
    k: int = Field(ge=1)

    def apply(self, extracts: list[Extract], choices: Sequence[str]) -> list[Extract]:
        if len(extracts) < self.k:
            raise ValueError(f"take_first_k needs {self.k} texts a sample, but there are {len(extracts)}")
        return extracts[: self.k]


class MajorityVote(Filter):
    """The most frequent text, of equally frequent ones the first; what was not found votes too."""

    function: Literal["majority_vote"] = "majority_vote"

    def apply(self, extracts: list[Extract], choices: Sequence[str]) -> list[Extract]:
        winner = Counter(extract.text for extract in extracts).most_common(1)[0][0]
        return [next(extract for extract in extracts if extract.text == winner)]


class TakeFirst(Filter):
    """The first text. The last step of every chain, and implied where it is not written."""

    function: Literal["take_first"] = "take_first"

    def apply(self, extracts: list[Extract], choices: Sequence[str]) -> list[Extract]:
        return extracts[:1]


_FILTERS: dict[str, type[Filter]] = {
    filter_class.model_fields["function"].default: filter_class
    for filter_class in (
        *(Regex, MultiChoiceRegex, RemoveWhitespace, Lowercase, Uppercase),
        *(Map, TakeFirstK, MajorityVote, TakeFirst),
    )
}


def build_filters(specs: Sequence[Mapping[str, Any]], where: str) -> tuple[Filter, ...]:
    """The steps that a list ``[{function: name, ...keys}]`` describes.

    Raises:
        DataError: a step without or with an unknown function, an unknown key, a wrong value, or a step
            behind take_first, which lm-eval would apply to the single characters of the text.
    """
    filters = tuple(_build(spec, f"{where} {number}") for number, spec in enumerate(specs, start=1))
    if any(isinstance(step, TakeFirst) for step in filters[:-1]):
        raise DataError(f"{where}s: take_first must be the last step.")
    return filters


def _build(spec: Mapping[str, Any], where: str) -> Filter:
    name = spec.get("function") if isinstance(spec, Mapping) else None
    if not isinstance(name, str):
        raise DataError(f"{where}: the key 'function' with the name of a filter is missing.")
    if name not in _FILTERS:
        raise DataError(f"{where}: unknown filter '{name}'; {nearest(name, _FILTERS)}")
    return parse_options(_FILTERS[name], spec, f"{where} ({name})")
