"""Plain data as Python source."""

from __future__ import annotations

from typing import Any

_DECIMAL = 1 << 64
"""Whole numbers from here on are written in base 16: Python reads no more than 4,300 digits of base 10."""


def literal(value: Any) -> str:
    """A value out of JSON as an expression that makes it again."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return repr(value)
    if isinstance(value, int):
        return hex(value) if abs(value) >= _DECIMAL else str(value)
    if isinstance(value, float):
        return repr(value) if value - value == 0 else f"float({str(value)!r})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(map(literal, value)) + "]"
