"""Function calls of a journal line beside those that were expected: of tasks whose answer is a list of calls.

The answer is the canonical JSON of `answers.function_calls`, ``[{"arguments": {...}, "name": ...}]``; the target is the
text of a JSON object with the expected calls as ``ground_truth``, ``[{name: {argument: [accepted value, ...]}}]``, with
"" among the values of an argument that may be left out. Whether calls are right was decided by the task's metric, which
may take two spellings for one, so marks are made in wrong repeats only: at arguments that are missing or not expected,
and at the value that the metric's explanation places (``wrong_value: call 1, argument 'unit': ...``). Where no metric
explains itself, values are marked that are literally none of the accepted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from evalharness.records.evidence import explanations_of

Expected = tuple[str, Mapping[str, Any]]
"""Name, and the accepted values by argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of a call."""

    name: str
    given: str | None
    """As JSON; None where it was left out."""
    accepted: str | None
    """The accepted values as JSON; None where the argument is not expected."""
    fault: str = ""
    """Why it is marked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that was given, expected, or both."""

    name: str
    arguments: tuple[Argument, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The calls of one repeat: those that were given, then those that are missing."""

    calls: tuple[Call, ...]
    none_expected: bool
    """Whether the target says that nothing is to be called."""


def calls_of(line: Mapping[str, Any], repeat: Mapping[str, Any]) -> Calls | None:
    """The calls of a repeat beside the expected ones; None where neither is of that form."""
    expected, given = _expected(line.get("target")), _given(repeat.get("answer"))
    if expected is None:
        if not given:
            return None
        alone = [Call(name=call.name, arguments=tuple(_alone(call))) for call in given]
        return Calls(calls=tuple(alone), none_expected=False)
    left, calls = list(expected), []
    for call in given:
        same = [each for each in left if call.name in (each[0], each[0].replace(".", "_"))]
        if same:
            best = min(same, key=lambda each: sum(bool(argument.fault) for argument in _beside(call, each[1])))
            left.remove(best)
            calls.append(Call(name=call.name, arguments=tuple(_beside(call, best[1]))))
        else:
            calls.append(Call(name=call.name, arguments=tuple(_alone(call)), fault="no such call is expected"))
    for name, accepted in left:
        missing = Call(name=name, arguments=tuple(_beside(_Given(name, {}), accepted)), fault="missing")
        calls.append(replace(missing, arguments=tuple(_unmarked(missing))))
    return Calls(calls=tuple(_marked(calls, repeat)), none_expected=not expected)


def answer_text(answer: Any) -> str | None:
    """An answer as a person writes calls: ``f(a=1), g()``; another task's answer as it is."""
    told = ", ".join(
        _told(
            call.name, [*map(_json, call.positional), *(f"{key}={_json(value)}" for key, value in call.named.items())]
        )
        for call in _given(answer)
    )
    return told or answer


def target_text(target: Any) -> str | None:
    """The expected calls as a person writes them; None of another task's target."""
    expected = _expected(target)
    if expected is None:
        return None
    told = [
        _told(name, [f"{key}={_accepted(values)}" for key, values in accepted.items()]) for name, accepted in expected
    ]
    return ", ".join(told) or "no call"


# --------------------------------------------------------------------------- reading


def _expected(target: Any) -> list[Expected] | None:
    if not isinstance(target, str) or not target.startswith("{") or '"ground_truth"' not in target:
        return None
    value = _parsed(target)
    truth = value.get("ground_truth") if isinstance(value, dict) else None
    if not isinstance(truth, list):
        return None
    return [
        (str(name), accepted)
        for call in truth
        if isinstance(call, dict)
        for name, accepted in call.items()
        if isinstance(accepted, dict)
    ]


class _Given(NamedTuple):
    name: str
    named: Mapping[str, Any]
    positional: Sequence[Any] = ()


_BEGINNINGS = ('[{"arguments":', '[{"name":')


def _given(answer: Any) -> list[_Given]:
    """The calls of an answer; none where it is no list of calls and nothing else."""
    if not isinstance(answer, str) or not answer.startswith(_BEGINNINGS):
        return []
    calls = _parsed(answer)
    if not isinstance(calls, list) or not all(map(_is_call, calls)):
        return []
    return [_Given(str(call["name"]), call["arguments"], call.get("positional") or ()) for call in calls]


def _is_call(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() - {"positional"} == {"name", "arguments"}
        and isinstance(value["arguments"], dict)
        and isinstance(value.get("positional", []), list)
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _told(name: str, arguments: Sequence[str]) -> str:
    return f"{name}({', '.join(arguments)})"


def _accepted(values: Any) -> str:
    several = _several(values)
    told = " or ".join(_json(value) for value in several if value != "")
    if "" not in several:
        return told
    return f"{told} or nothing" if told else '"" or nothing'


# --------------------------------------------------------------------------- what is wrong


def _alone(call: _Given) -> Iterator[Argument]:
    for name, value in [*_positions(call), *call.named.items()]:
        yield Argument(name=str(name), given=_json(value), accepted=None)


def _positions(call: _Given) -> list[tuple[str, Any]]:
    return [(f"position {number}", value) for number, value in enumerate(call.positional, 1)]


def _beside(call: _Given, accepted: Mapping[str, Any]) -> Iterator[Argument]:
    """Every argument of either, each with its own fault, whatever the metric says.

    What is given without a name may stand for any argument, so that none of them is missing then.
    """
    for name, value in _positions(call):
        yield Argument(name=name, given=_json(value), accepted=None)
    for name, values in accepted.items():
        several, fault = _several(values), ""
        if name not in call.named:
            fault = "" if "" in several or call.positional else "missing"
        elif not any(_fits(value, call.named[name]) for value in several):
            fault = "not accepted"
        given = _json(call.named[name]) if name in call.named else None
        yield Argument(name=str(name), given=given, accepted=_accepted(values), fault=fault)
    for name, value in call.named.items():
        if name not in accepted:
            yield Argument(name=str(name), given=_json(value), accepted=None, fault="not expected")


def _several(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _fits(accepted: Any, value: Any) -> bool:
    """Literally the same, an object being one whose every value is accepted."""
    if isinstance(value, dict) and value.keys() == {"$tuple"}:
        value = value["$tuple"]
    if isinstance(accepted, dict) and isinstance(value, dict):
        return value.keys() <= accepted.keys() and all(
            any(_fits(each, value.get(key, "")) for each in _several(values)) for key, values in accepted.items()
        )
    if isinstance(accepted, list) and isinstance(value, list):
        return len(accepted) == len(value) and all(map(_fits, accepted, value))
    # To Python True is 1.
    return isinstance(accepted, bool) == isinstance(value, bool) and bool(accepted == value)


_PLACE = re.compile(r"[a-z_]+: call (\d{1,4}), argument '(.*?)'(?=: )")


def _marked(calls: Sequence[Call], repeat: Mapping[str, Any]) -> list[Call]:
    """The calls with the faults that stay: none in a right repeat, of values those that an explanation places."""
    scores, explanations = repeat.get("scores") or {}, explanations_of(repeat)
    if all(float(value) >= 1 for value in scores.values()):
        return [replace(call, fault="", arguments=tuple(_unmarked(call))) for call in calls]
    if not explanations:
        return list(calls)
    places = {(int(found[1]), found[2]) for text in explanations.values() if (found := _PLACE.match(text))}
    return [
        replace(call, arguments=tuple(_placed(each, (number, each.name) in places) for each in call.arguments))
        for number, call in enumerate(calls, 1)
    ]


def _unmarked(call: Call) -> Iterator[Argument]:
    return (replace(argument, fault="") for argument in call.arguments)


def _placed(argument: Argument, here: bool) -> Argument:
    if argument.given is None or argument.accepted is None:
        return argument
    return replace(argument, fault="not accepted" if here else "")
