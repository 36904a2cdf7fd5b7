"""What every parser is: options of its own, and a reading of the texts that a method brings back."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

from evalharness.errors import DataError, UsageError
from evalharness.options import Options, parse_options
from evalharness.registry import Kind, lookup
from evalharness.types import Parsed

Which = Literal["last", "first"]
"""Of several findings in a text, the one to take."""

Found = TypeVar("Found")
Component = TypeVar("Component", bound=Options)


def pick(findings: Iterable[Found], which: Which) -> Found | None:
    """The first or the last of them; None where there is none."""
    return next(iter(findings), None) if which == "first" else next(iter(deque(findings, maxlen=1)), None)


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer that one attempt gives, and how its candidates voted."""

    parsed: Parsed
    """The winner, with its place in the earliest candidate that says it."""
    votes: Mapping[str, int] = field(default_factory=dict)
    """Value to number of candidates that gave it; unparsed candidates have no vote."""


class Parser(Options):
    """Finds the answer in a text. Subclasses are the `answer:` section of a task."""

    version: ClassVar[int] = 1
    """Raised with every change of what is found; part of the protocol's hash."""

    parser: str
    """Registered name."""

    @abstractmethod
    def parse(self, text: str, choices: Sequence[str] = ()) -> Parsed:
        """The answer in canonical form, with its place in `text`, or why there is none. Never raises.

        `choices` are the sample's choices, for parsers that know an answer by its wording.
        """

    def canonical(self, target: str) -> str:
        """A right text in the form in which `parse` gives answers, so that both can be compared."""
        return target.strip()

    def canonical_choice(self, position: int, choices: Sequence[str]) -> str:
        """The right choice, given by its position, in the form in which `parse` gives answers."""
        return self.canonical(choices[position])

    def read(self, candidates: Sequence[str], choices: Sequence[str] = ()) -> Reading:
        """Majority vote over the candidates by parsed value; of tied values the one said earliest wins."""
        if len(candidates) == 1:
            parsed = self.parse(candidates[0], choices)
            return Reading(parsed, {} if parsed.value is None else {parsed.value: 1})
        parses = [self.parse(candidate, choices) for candidate in candidates]
        votes = Counter(parsed.value for parsed in parses if parsed.value is not None)
        if not votes:
            return Reading(parses[0] if parses else Parsed(None, why="there is no text to read"))
        winner = votes.most_common(1)[0][0]  # equal counts come in the order of first appearance
        return Reading(next(parsed for parsed in parses if parsed.value == winner), votes)


def build_parser(spec: Mapping[str, Any] | str, where: str) -> Parser:
    """The parser that an `answer:` section describes: a name, or ``{parser: name, ...options}``.

    Raises:
        DataError: an unknown parser or option (the nearest known one is named), or a wrong value.
    """
    return build_named("parser", spec, where, Parser)  # type: ignore[type-abstract]


def build_named(kind: Kind, spec: Mapping[str, Any] | str, where: str, base: type[Component]) -> Component:
    """The component of a section whose key `kind` holds its registered name and whose other keys are its options.

    Raises:
        DataError: the name is missing or unknown, or an option is.
    """
    section = {kind: spec} if isinstance(spec, str) else dict(spec)
    name = section.get(kind)
    if not isinstance(name, str):
        raise DataError(f"{where}: the key '{kind}' with the name of a {kind} is missing.")
    try:
        component = lookup(kind, name)
    except UsageError as error:
        raise DataError(f"{where}: {error}") from None
    if not (isinstance(component, type) and issubclass(component, base)):
        raise DataError(f"{where}: the {kind} '{name}' is no {base.__name__} class; ask its plugin's author.")
    return parse_options(component, section, where)
