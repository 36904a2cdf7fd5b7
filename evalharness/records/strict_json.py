"""JSON that every reader accepts: numbers that are not finite are spelled as strings, bad Unicode as escapes.

Python's `json` writes ``NaN`` and ``-Infinity``, which RFC 8259 does not know. Here they are the strings
``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, which `float` reads back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

# Made once: `json.dumps` with these arguments builds a new encoder a call.
_PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_ESCAPED = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False)

_NUMBERS = frozenset({"scores", "weights", "likeliest", "log_likelihoods", "log_probabilities"})
"""Keys of a journal line below which a string is the name of a number."""
_NAMES = frozenset({"NaN", "Infinity", "-Infinity"})


def one_line(value: Mapping[str, Any]) -> bytes:
    """The UTF-8 of a value on one line, newline included. Keys keep their order, floats their every digit."""
    try:
        text = _PLAIN.encode(value)
    except ValueError:
        value = spelled(value)
        text = _PLAIN.encode(value)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        # A lone surrogate, which JSON can spell and UTF-8 cannot.
        return _ESCAPED.encode(value).encode() + b"\n"


def pages(value: Mapping[str, Any]) -> bytes:
    """The same, indented, for files that people open."""
    text = json.dumps(spelled(value), ensure_ascii=False, indent=2, allow_nan=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(spelled(value), indent=2, allow_nan=False).encode() + b"\n"


def parse(raw: bytes) -> dict[str, Any] | None:
    """The object that a journal line holds, its spelled numbers floats again; None where it holds none."""
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    if b'"NaN"' in raw or b'Infinity"' in raw:
        restored: dict[str, Any] = _restored(value, numeric=False)
        return restored
    return value


def spelled(value: Any) -> Any:
    """A copy in which every number that is not finite is its name."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [spelled(item) for item in value]
    return value


def _restored(value: Any, *, numeric: bool) -> Any:
    if isinstance(value, dict):
        return {
            # What a model handed to a tool is its own business, whatever its keys are called.
            key: item if key == "tool_calls" else _restored(item, numeric=numeric or key in _NUMBERS)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_restored(item, numeric=numeric) for item in value]
    return float(value) if numeric and isinstance(value, str) and value in _NAMES else value
