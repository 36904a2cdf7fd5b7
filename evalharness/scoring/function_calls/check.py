"""Whether the calls that were made are those that had to be, and if not, which of them is wrong and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evalharness.answers.function_calls.calls import FunctionCall
from evalharness.scoring.function_calls.reference import RightCall, RightCalls
from evalharness.scoring.function_calls.values import Language, refused, shown

Kind = Literal[
    "wrong_count",
    "wrong_name",
    "positional_argument",
    "missing_argument",
    "unknown_argument",
    "wrong_type",
    "wrong_value",
]
"""In the order in which a call is looked at; a later kind is nearer to a right call."""
_NEARNESS: dict[Kind, int] = {
    "wrong_count": 0,
    "wrong_name": 1,
    "positional_argument": 2,
    "missing_argument": 3,
    "unknown_argument": 4,
    "wrong_type": 5,
    "wrong_value": 6,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the calls of an answer."""

    kind: Kind
    sentence: str

    def __str__(self) -> str:
        """``wrong_value: call 1, argument 'unit': "celcius" is none of "celsius", "C"``."""
        return f"{self.kind}: {self.sentence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How calls are compared."""

    language: Language = "python"
    names: Literal["exact", "dots_as_underscores"] = "exact"
    positional: Literal["bfcl", "bind", "refuse"] = "bfcl"


def problem_of(made: Sequence[FunctionCall], right: RightCalls, rules: Rules) -> Problem | None:
    """What is wrong with the calls that were made; None where they are right.

    As many calls as are right must be made, in any order: each right call needs a made one of its own. Where several
    fit several, any complete assignment counts (a maximum matching); BFCL takes the first that fits, for good.

    Raises:
        DataError: a function is documented with types that the language's rules do not know.
    """
    if len(made) != len(right.calls):
        return Problem("wrong_count", f"{_calls(len(made))} made, where {_calls(len(right.calls))} right")
    problems: dict[tuple[int, int], Problem | None] = {}

    def problem(wanted: int, given: int) -> Problem | None:
        if (wanted, given) not in problems:
            problems[wanted, given] = _problem(made[given], right.calls[wanted], right, rules, given + 1)
        return problems[wanted, given]

    assigned: dict[int, int] = {}
    """Number of the right call by that of the made one which fits it."""

    def assign(wanted: int, seen: set[int]) -> bool:
        for given in range(len(made)):
            if given in seen or problem(wanted, given) is not None:
                continue
            seen.add(given)
            if given not in assigned or assign(assigned[given], seen):
                assigned[given] = wanted
                return True
        return False

    unmet = [wanted for wanted in range(len(right.calls)) if not assign(wanted, set())]
    left = [problem(unmet[0], given) for given in range(len(made)) if given not in assigned] if unmet else []
    return max(filter(None, left), key=lambda each: _NEARNESS[each.kind], default=None)


def _calls(count: int) -> str:
    return "1 call is" if count == 1 else f"{count} calls are"


def _problem(made: FunctionCall, right: RightCall, known: RightCalls, rules: Rules, number: int) -> Problem | None:
    function, place = right.function, f"call {number}"
    expected = function.name.replace(".", "_") if rules.names == "dots_as_underscores" else function.name
    if made.name != expected:
        unknown = "" if made.name in known.functions else ", which is none of the functions given"
        return Problem("wrong_name", f"{place}: '{made.name:.80}' is called{unknown}, not '{expected}'")
    bound = _bound(made, right, rules, place)
    if isinstance(bound, Problem):
        return bound
    for name in function.required:
        if name not in bound:
            return Problem("missing_argument", f"{place}, argument '{name}': it is required and missing")
    for name, value in bound.items():
        if name not in function.parameters:
            return Problem(
                "unknown_argument", f"{place}, argument '{name:.80}': '{function.name}' has no such argument"
            )
        if name not in right.values:
            return Problem("unknown_argument", f"{place}, argument '{name}': it must not be given")
        refusal = refused(value, right.values[name], function.parameters[name], rules.language)
        if refusal is not None:
            return Problem(refusal[0], f"{place}, argument '{name}': {refusal[1]}")
    return next(_left_out(bound, right, place), None)


def _left_out(bound: Mapping[str, Any], right: RightCall, place: str) -> Iterator[Problem]:
    for name, values in right.values.items():
        if name not in bound and "" not in values:
            yield Problem("missing_argument", f"{place}, argument '{name}': it is missing, and must not be left out")


def _bound(made: FunctionCall, right: RightCall, rules: Rules, place: str) -> Mapping[str, Any] | Problem:
    """The arguments by name."""
    if not made.positional or (rules.positional == "bfcl" and rules.language == "python"):
        return made.arguments
    if rules.positional != "bind":
        value = shown(made.positional[0])
        return Problem("positional_argument", f"{place}: {value} is given without the name of its argument")
    names = list(right.function.parameters)
    if len(made.positional) > len(names):
        return Problem(
            "unknown_argument",
            f"{place}: {len(made.positional)} arguments are given by position, and '{right.function.name}' has "
            f"{len(names)}",
        )
    by_position = dict(zip(names, made.positional, strict=False))
    twice = next((name for name in by_position if name in made.arguments), None)
    if twice is not None:
        return Problem("positional_argument", f"{place}, argument '{twice}': it is given by position and by name")
    return by_position | dict(made.arguments)
