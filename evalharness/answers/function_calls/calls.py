"""A call of a function, the canonical JSON of a list of calls, and what is said where there is none.

JSON has fewer types than the languages that calls are written in, and the checker tells them apart: a tuple from a
list, a number from a text. What JSON cannot say stands in an object of one key: ``{"$tuple": [1, 2]}``,
``{"$float": "nan"}``, ``{"$bytes": "a"}``, ``{"$complex": "1j"}``, ``{"$call": {...}}`` for a call as an argument, and
``{"$dict": [[1, "a"]]}`` for a mapping with keys that are no texts, or that begin with a dollar.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evalharness.hashing import canonical_json

DEEPEST = 50
"""Levels of lists and mappings in an argument."""
LARGEST_BITS = 10_000
"""Of a whole number: Python refuses to write one of more than 4,300 digits in decimals."""


class NoCall(ValueError):
    """A text holds no call in the form that was looked for. Its message is a clause that says why."""


class MalformedCall(ValueError):
    """A text begins a call and does not end it well. Its message is a clause that says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One call as it was written."""

    name: str
    """With its dots: ``math.factorial``."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Those that were given by name. A value that is no literal is its source text."""
    positional: tuple[Any, ...] = ()
    """Those that were given by position."""


def to_json(calls: Sequence[FunctionCall]) -> str:
    """Canonical JSON: ``[{"arguments":{"x":1},"name":"f"}]``, with ``"positional"`` where there are any.

    Raises:
        MalformedCall: a value is nested too deeply, or too large a number.
    """
    return canonical_json([_encoded_call(call, 0) for call in calls])


def from_json(text: str) -> list[FunctionCall]:
    """The calls of a text that `to_json` made.

    Raises:
        ValueError: it made no such text.
    """
    try:
        return [_decoded_call(entry) for entry in json.loads(text)]
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"no canonical list of calls: {error}") from None


def _encoded_call(call: FunctionCall, depth: int) -> dict[str, Any]:
    encoded = {
        "name": call.name,
        "arguments": {name: _encoded(value, depth + 1) for name, value in call.arguments.items()},
    }
    return encoded | ({"positional": _encoded_items(call.positional, depth + 1)} if call.positional else {})


def _encoded_items(items: Sequence[Any], depth: int) -> list[Any]:
    return [_encoded(item, depth) for item in items]


def _encoded(value: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise MalformedCall(f"an argument is nested deeper than {DEEPEST} levels")
    match value:
        case None | bool() | str():
            return value
        case int():
            if value.bit_length() > LARGEST_BITS:
                raise MalformedCall("an argument is a whole number of thousands of digits")
            return value
        case float():
            return value if math.isfinite(value) else {"$float": str(value)}
        case list():
            return _encoded_items(value, depth + 1)
        case tuple():
            return {"$tuple": _encoded_items(value, depth + 1)}
        case dict():
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return {key: _encoded(item, depth + 1) for key, item in value.items()}
            return {"$dict": [_encoded_items(pair, depth + 1) for pair in value.items()]}
        case bytes():
            return {"$bytes": value.decode("latin-1")}
        case complex():
            return {"$complex": str(value)}
        case FunctionCall():
            return {"$call": _encoded_call(value, depth + 1)}
    raise MalformedCall(f"an argument is of the type {type(value).__name__}")


def _decoded_call(entry: Mapping[str, Any]) -> FunctionCall:
    return FunctionCall(
        entry["name"],
        {name: _decoded(value) for name, value in entry["arguments"].items()},
        tuple(map(_decoded, entry.get("positional", ()))),
    )


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, content),) = value.items()
        match key:
            case "$tuple":
                return tuple(map(_decoded, content))
            case "$dict":
                return {_decoded(name): _decoded(item) for name, item in content}
            case "$float":
                return float(content)
            case "$bytes":
                return content.encode("latin-1")
            case "$complex":
                return complex(content)
            case "$call":
                return _decoded_call(content)
    return {key: _decoded(item) for key, item in value.items()}
