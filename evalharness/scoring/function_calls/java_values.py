"""Java source text to values, as BFCL v4 converts it before it compares.

The spellings are those of `bfcl_eval.eval_checker.ast_eval.type_convertor.java_type_converter`, release 2026.3.23, with
its gaps: what is spelled otherwise stays a text, and then has the wrong type. In an array, and in a list of `any`, the
texts keep their quotation marks, so none of them equals a right one.
"""

from __future__ import annotations

import re
from typing import Any

LONGEST = 2_000
"""Characters of a list or mapping that is converted; a longer text stays one. This bounds the time that the patterns
below can take."""

_WHOLE = re.compile(r"^-?\d+$")
_LONG = re.compile(r"^-?\d+[lL]$")
_FLOAT = re.compile(r"^-?\d+(\.\d+)?([eE][+-]?\d+)?[fF]$")
_DOUBLE = re.compile(r"^-?\d+(\.\d+)?([eE][+-]?\d+)?$")
_AS_LIST = re.compile(r"new\s+ArrayList<\w*>\(Arrays\.asList\((.+?)\)\)")
_ADDS = re.compile(r"new\s+ArrayList<\w*>\(\)\s*\{\{")
_ADD = re.compile(r"add\((.+?)\)")
_NO_ITEMS = re.compile(r"new\s+ArrayList<\w*>\(\)")
_ARRAY = re.compile(r"new\s+\w+\[\]\s*\{(.*?)\}")
_PUTS = re.compile(r"new\s+HashMap<.*?>\s*\(\)\s*\{\s*\{?", re.DOTALL)
_PUT = re.compile(r"put\(\"(?>(.*?)\",)\s*+(?>(.*?)\))")
_NO_ENTRIES = re.compile(r"new\s+HashMap<.*?>\s*\(\)")


def java_value(text: str, declared: str, item: str | None) -> Any:
    """The value of a source text as the declared type has it; the text itself where it is none of that type.

    Raises:
        ValueError: a whole number of thousands of digits.
    """
    match declared:
        case "byte" | "short" | "integer" if _WHOLE.match(text):
            return int(text)
        case "long" if _LONG.match(text):
            return int(text.rstrip("lL\n"))
        case "float" if _FLOAT.match(text):
            return float(text.rstrip("fF\n"))
        case "double" if _DOUBLE.match(text):
            return float(text)
        case "boolean" if text in ("true", "false"):
            return text == "true"
        case "ArrayList" if len(text) <= LONGEST:
            return _array_list(text, item)
        case "Array" if len(text) <= LONGEST:
            return _array(text, item)
        case "HashMap" if len(text) <= LONGEST:
            return _hash_map(text)
    return text


def _array_list(text: str, item: str | None) -> Any:
    if listed := _AS_LIST.search(text):
        return [_item(part.strip(), item) for part in listed[1].split(",")]
    added = _ADDS.search(text)
    end = text.find("}}", added.end() + 1) if added else -1
    if added and end >= 0:
        return [_item(part.strip(), item) for part in _ADD.findall(text[added.end() : end])]
    return [] if _NO_ITEMS.search(text) else text


def _item(text: str, item: str | None) -> Any:
    if item in ("char", "String"):
        return text[1:-1]
    return java_value(text, item, None) if item else _guessed(text)


def _array(text: str, item: str | None) -> Any:
    listed = _ARRAY.search(text)
    if listed is None:
        return text
    parts = [part.strip() for part in listed[1].split(",") if part.strip()]
    return [java_value(part, item, None) if item else _guessed(part) for part in parts]


def _hash_map(text: str) -> Any:
    found = _PUTS.search(text)
    end = text.find("}", found.end()) if found else -1
    if found and end >= 0:
        return {key: _guessed(value.strip()) for key, value in _PUT.findall(text[found.end() : end])}
    return {} if _NO_ENTRIES.search(text) else text


def _guessed(text: str) -> Any:
    """A value whose type nothing declares."""
    if text in ("true", "false"):
        return text == "true"
    if text.startswith('"') and text.endswith('"'):
        return text[1:-1]
    if _LONG.match(text):
        return int(text.rstrip("lL\n"))
    if _FLOAT.match(text):
        return float(text.rstrip("fF\n"))
    return number_or_text(text)


def number_or_text(text: str) -> Any:
    """A whole number, else a number, by Python's own reading; else the text."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text
