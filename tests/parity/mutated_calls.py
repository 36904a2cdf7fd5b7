"""Right calls made wrong in the ways in which models get them wrong, and right calls said another way."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from evalharness.answers.function_calls.calls import FunctionCall

Calls = list[FunctionCall]
Row = dict[str, Any]
"""A row of BFCL with its ground truth."""


def mutated(calls: Sequence[FunctionCall], row: Row, draw: random.Random, java_like: bool) -> Calls:
    """The calls after one to three changes."""
    changed = list(calls)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        change = draw.choice(_OF_LISTS if not changed or draw.random() < 0.2 else _OF_CALLS)
        changed = change(changed, row, draw, java_like)
    return changed


# --------------------------------------------------------------------------- the list of calls


def _duplicate(calls: Calls, row: Row, draw: random.Random, java_like: bool) -> Calls:
    return [*calls, draw.choice(calls)] if calls else calls


def _remove(calls: Calls, row: Row, draw: random.Random, java_like: bool) -> Calls:
    gone = draw.randrange(len(calls)) if calls else 0
    return [call for number, call in enumerate(calls) if number != gone]


def _reorder(calls: Calls, row: Row, draw: random.Random, java_like: bool) -> Calls:
    return draw.sample(calls, len(calls))


def _replace_by_another(calls: Calls, row: Row, draw: random.Random, java_like: bool) -> Calls:
    """One call said twice in place of two."""
    if not calls:
        return calls
    place, other = draw.randrange(len(calls)), draw.choice(calls)
    return [other if number == place else call for number, call in enumerate(calls)]


# --------------------------------------------------------------------------- one call


def _one(change: Callable[[FunctionCall, Row, random.Random, bool], FunctionCall]) -> Callable[..., Calls]:
    def apply(calls: Calls, row: Row, draw: random.Random, java_like: bool) -> Calls:
        place = draw.randrange(len(calls))
        return [change(call, row, draw, java_like) if n == place else call for n, call in enumerate(calls)]

    return apply


def _rename(call: FunctionCall, row: Row, draw: random.Random, java_like: bool) -> FunctionCall:
    others = [document["name"] for document in row["function"]]
    name = draw.choice(
        (f"{call.name}_2", call.name.upper(), call.name.replace(".", "_"), call.name.rpartition(".")[2], *others)
    )
    return FunctionCall(name, call.arguments, call.positional)


def _drop(call: FunctionCall, row: Row, draw: random.Random, java_like: bool) -> FunctionCall:
    if not call.arguments:
        return call
    gone = draw.choice(list(call.arguments))
    return FunctionCall(call.name, {key: value for key, value in call.arguments.items() if key != gone})


def _add(call: FunctionCall, row: Row, draw: random.Random, java_like: bool) -> FunctionCall:
    """An argument that is unknown, or one that the function has and the right call does not."""
    declared = [name for document in row["function"] for name in document["parameters"]["properties"]]
    name = draw.choice([*declared, "made_up"])
    value = draw.choice(("x", 0, 1, 2.5, True, None, [], {}, "")) if not java_like else draw.choice(("x", "0", "true"))
    return FunctionCall(call.name, {name: value, **call.arguments})


def _optional(call: FunctionCall, row: Row, draw: random.Random, java_like: bool) -> FunctionCall:
    """An argument that may be left out, with a value that is right for it, or with nothing in it."""
    for entry in row["ground_truth"]:
        for key, values in entry.get(call.name, {}).items():
            if key not in call.arguments and "" in values:
                value = draw.choice(values)
                said = _spelled(value) if java_like else value
                return FunctionCall(call.name, {**call.arguments, key: said})
    return call


def _another_right_value(call: FunctionCall, row: Row, draw: random.Random, java_like: bool) -> FunctionCall:
    entries = [entry[call.name] for entry in row["ground_truth"] if call.name in entry]
    if not entries or not call.arguments:
        return call
    key = draw.choice(list(call.arguments))
    values = draw.choice(entries).get(key, [])
    if not values:
        return call
    value = draw.choice(values)
    return FunctionCall(call.name, {**call.arguments, key: _spelled(value) if java_like else value})


def _change(call: FunctionCall, row: Row, draw: random.Random, java_like: bool) -> FunctionCall:
    if not call.arguments:
        return call
    key = draw.choice(list(call.arguments))
    value = call.arguments[key]
    return FunctionCall(
        call.name, {**call.arguments, key: _changed_text(value, draw) if java_like else _changed(value, draw)}
    )


def _changed(value: Any, draw: random.Random) -> Any:
    """Another value: retyped, perturbed, or respelled."""
    if draw.random() < 0.25:
        return draw.choice(
            (None, [value], (value,), {"value": value}, str(value), [], "", 0, True, b"x", 1j, float("nan"))
        )
    match value:
        case bool():
            return draw.choice((not value, int(value), str(value)))
        case int():
            return draw.choice((value + 1, -value, float(value), str(value), value + 0.5))
        case float():
            return draw.choice((value + 1, -value, str(value), value * (1 + 1e-9), int(value) if value == value else 0))
        case str():
            return draw.choice(_RESPELLINGS)(value)
        case list() | tuple():
            items = list(value)
            return draw.choice(
                (
                    items[::-1],
                    items[1:],
                    [*items, *items[:1]],
                    tuple(items),
                    [_changed(item, draw) for item in items],
                    [*items[:-1], _changed(items[-1], draw)] if items else [1],
                )
            )
        case dict():
            keys = list(value)
            key = draw.choice(keys) if keys else "key"
            return draw.choice(
                (
                    {**value, key: _changed(value.get(key), draw)},
                    {other: item for other, item in value.items() if other != key},
                    {**value, "made_up": 1},
                    {str(other).upper(): item for other, item in value.items()},
                    list(value.items()),
                )
            )
    return value


def _changed_text(value: Any, draw: random.Random) -> Any:
    """Another source text."""
    text = str(value)
    return draw.choice(
        (
            f"{text}L",
            f"{text}f",
            text.rstrip("L"),
            f'"{text}"',
            f"'{text}'",
            f"{text} ",
            f"-{text}",
            f"{text}.0",
            f"{text}n",
            f"[{text}]",
            f"{{{text}}}",
            f"new ArrayList<>({text})",
            text.replace(", ", ","),
            text.replace(",", ", 7,", 1),
            text.replace("<>", "<String>"),
            text.replace("new ArrayList<>(Arrays.asList(", "new String[]{").replace("))", "}"),
            text.replace("{{", "{ {").replace("}}", "} }"),
            text.replace('"', "'"),
            text[:-1],
            text.upper(),
            "null",
            "true",
            "",
            *(respell(text) for respell in _RESPELLINGS),
        )
    )


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_RESPELLINGS: tuple[Callable[[str], str], ...] = (
    str.upper,
    str.lower,
    str.title,
    lambda text: text.replace(" ", ""),
    lambda text: text.replace(" ", "_"),
    lambda text: text.replace(",", ""),
    lambda text: text.replace("-", "/"),
    lambda text: f"{text}.",
    lambda text: f"{text}!",
    lambda text: f"the {text}",
    lambda text: text[1:],
    lambda text: text.replace("'", '"'),
    lambda text: text.replace("e", "é"),
)
_OF_LISTS = (_duplicate, _remove, _reorder, _replace_by_another)
_OF_CALLS = tuple(
    map(_one, (_rename, _drop, _add, _optional, _another_right_value, _change, _change, _change, _change))
)
