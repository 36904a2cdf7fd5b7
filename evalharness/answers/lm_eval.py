"""lm-eval's way to an answer: a chain of its filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import SerializeAsAny, field_validator

from evalharness.answers.base import Parser, Reading
from evalharness.answers.lm_eval_filters import Extract, Filter, MajorityVote, build_filters
from evalharness.errors import DataError
from evalharness.types import Parsed


class LmEvalParser(Parser):
    """The filters of an lm-eval task's `filter_list` entry, in order, over all candidates of an attempt.

    Targets are not brought to another form: lm-eval compares with the raw target. A text that a regex filter
    replaced by "[invalid]" is unparsed.
    """

    parser: str = "lm_eval"
    filters: tuple[SerializeAsAny[Filter], ...] = ()

    @field_validator("filters", mode="before")
    @classmethod
    def _build(cls, specs: Any) -> tuple[Filter, ...]:
        if not isinstance(specs, list | tuple):
            raise ValueError("the filters are a list of {function: name, ...}.")
        try:
            return build_filters(specs, "filter")
        except DataError as error:
            raise ValueError(str(error)) from None

    def canonical(self, target: str) -> str:
        return target

    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        return self.read([text], choices).parsed

    def read(self, candidates: Sequence[str], choices: Sequence[str] = ()) -> Reading:
        """What the filters leave; the votes are those of majority_vote, where it is among them."""
        if not candidates:
            return Reading(Parsed(None, why="there is no text to read"))
        extracts = [Extract(candidate, (0, len(candidate))) for candidate in candidates]
        votes: Counter[str] | None = None
        for step in self.filters:
            if isinstance(step, MajorityVote):
                votes = Counter(extract.text for extract in extracts if extract.why is None)
            try:
                extracts = step.apply(extracts, choices)
            except ValueError as error:
                return Reading(Parsed(None, why=str(error)))
        first = extracts[0]
        parsed = Parsed(first.text, first.span) if first.why is None else Parsed(None, why=first.why)
        if votes is None:
            votes = Counter() if parsed.value is None else Counter([parsed.value])
        return Reading(parsed, votes)
