"""JavaScript source text to values, as BFCL v4 converts it before it compares.

The spellings are those of `bfcl_eval.eval_checker.ast_eval.type_convertor.js_type_converter`, release 2026.3.23, with
its gaps: items are parted at every comma, and what is spelled otherwise stays a text, which then has the wrong type.
"""

from __future__ import annotations

import re
from typing import Any

from evalharness.scoring.function_calls.java_values import LONGEST, number_or_text

_WHOLE = re.compile(r"^-?\d+$")
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
_BIGINT = re.compile(r"^-?\d+n$")
_NESTED = re.compile(r"\[\s*(\[.*?\])\s*\]|\bnew\s+Array\(\s*(\[.*?\])\s*\)", re.DOTALL)
_BETWEEN = re.compile(r"\]\s*,\s*\[")
_INNER = re.compile(r"\[(.*?)\]")
_ARRAY = re.compile(r"\[(.*?)\]|\bnew\s+Array\((.*?)\)")
_OBJECT = re.compile(r"\{(.*?)\}")
_PAIR = re.compile(r"([^:]+):\s*(.*?)(?:,\s*(?=[^,]+:)|$)")


def javascript_value(text: str, declared: str, item: str | None) -> Any:
    """The value of a source text as the declared type has it; the text itself where it is none of that type.

    Raises:
        ValueError: a whole number of thousands of digits.
    """
    match declared:
        case "String":
            return _unmarked(text)
        case "integer" if _WHOLE.match(text):
            return int(text)
        case "float" if _NUMBER.match(text):
            return float(text)
        case "Bigint" if _BIGINT.match(text):
            return int(text.rstrip("n\n"))
        case "Boolean" if text in ("true", "false"):
            return text == "true"
        case "array" if len(text) <= LONGEST:
            return _array(text.strip(), item)
        case "dict" if len(text) <= LONGEST:
            return _object(text.strip())
    return text


def _unmarked(text: str) -> str:
    marked = any(text.startswith(mark) and text.endswith(mark) for mark in "\"'")
    return text[1:-1] if marked else text


def _array(text: str, item: str | None) -> Any:
    nested = _NESTED.match(text)
    if nested and "\n" not in _BETWEEN.sub("],[", nested[1] or nested[2]):  # a line may only end between the inner ones
        return [[_guessed(part) for part in row.split(",")] for row in _INNER.findall(nested[1] or nested[2])]
    found = _ARRAY.match(text)
    if found is None:
        return text
    content = (found[1] if found[1] is not None else found[2]).strip()
    parts = [part.strip() for part in content.split(",")] if content else []
    return [javascript_value(part, item, None) if item else _guessed(part) for part in parts]


def _object(text: str) -> Any:
    if text == "{}":
        return {}
    found = _OBJECT.match(text)
    if found is None:
        return text
    return {key.strip().strip("'\""): _entry(value.strip()) for key, value in _PAIR.findall(found[1])}


def _entry(text: str) -> Any:
    if text.startswith("[") and text.endswith("]"):
        return _array(text, None)
    if text.startswith("{") and text.endswith("}"):
        return _object(text)
    return _guessed(text.strip("'\""))


def _guessed(text: str) -> Any:
    """A value whose type nothing declares."""
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    unmarked = _unmarked(text)
    return unmarked if unmarked != text else number_or_text(text)
