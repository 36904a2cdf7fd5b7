"""Whatever a regular expression finds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Self

from pydantic import model_validator

from evalharness.answers.base import Parser, Which, pick
from evalharness.types import Parsed


class RegexParser(Parser):
    """A group of the first or last match of a Python regular expression, without the white space around it."""

    parser: str = "regex"
    pattern: str
    """In the syntax of Python's `re`; flags stand in it, as in ``(?i)answer``."""
    group: int | str | None = None
    """Number or name of the group that holds the answer; by default the first one, or all of a match without groups."""
    which: Which = "last"
    """Of several matches, the one to take."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            groups = re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"pattern: {self.pattern!r} is no regular expression: {error}.") from None
        known = self.group is None or self.group in groups.groupindex or self.group in range(groups.groups + 1)
        if not known:
            raise ValueError(f"group: {self.pattern!r} has no group {self.group!r}.")
        return self

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        found = pick(self._compiled.finditer(text), self.which)
        if found is None:
            return Parsed(None, why=f"nothing matches {self.pattern}")
        group = self.group if self.group is not None else min(1, self._compiled.groups)
        value = found[group]
        if value is None:
            return Parsed(None, why=f"the group {group} of {self.pattern} took no part in the match")
        start = found.start(group) + len(value) - len(value.lstrip())
        value = value.strip()
        if not value:
            return Parsed(None, why=f"what matches {self.pattern} is empty")
        return Parsed(value, (start, start + len(value)))
