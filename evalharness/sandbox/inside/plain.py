"""Values between boxes: JSON with a tag for what JSON lacks. Only data can be said in it, no object with behaviour.

Whatever class a value is of, its receiver gets the plain type that it extends: a named tuple arrives as a tuple, a
Counter as a dictionary, so no method that a candidate wrote ever runs where it is compared.
"""

from __future__ import annotations

import json
from typing import Any

_ITEMS = 100_000
"""An iterator is sent as its items, so many at most."""
_DEPTH = 200
_COLLECTIONS: tuple[tuple[Any, str], ...] = ((tuple, "tuple"), (set, "set"), (frozenset, "frozenset"))
_MAKERS: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset, "list": list, "iterator": iter}


class NotPlain(Exception):
    """The value is no plain data."""


def dumps(value: Any) -> str:
    """The value on one line.

    Raises:
        NotPlain: it holds something that is no data, or goes too deep.
    """
    return json.dumps(_encoded(value, 0), separators=(",", ":"))


def loads(text: str | bytes) -> Any:
    """The value of such a line.

    Raises:
        ValueError: the line is none.
    """
    try:
        return _decoded(json.loads(text))
    except (RecursionError, TypeError, KeyError, ArithmeticError) as error:
        raise ValueError(f"not a line of plain data: {error}") from None


def _encoded(value: Any, depth: int) -> Any:
    if depth > _DEPTH:
        raise NotPlain(f"a value nested deeper than {_DEPTH} levels")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        number = int.__index__(value)
        return number if abs(number) < 1 << 53 else {"int": hex(number)}
    if isinstance(value, float):
        real = float.__float__(value)
        return real if real - real == 0 else {"float": float.__repr__(real)}
    if isinstance(value, complex):
        return {"complex": [_encoded(value.real, depth), _encoded(value.imag, depth)]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes" if isinstance(value, bytes) else "bytearray": bytes(value).hex()}
    if isinstance(value, range):
        return {"range": [_encoded(part, depth) for part in (value.start, value.stop, value.step)]}
    if isinstance(value, list):
        return [_encoded(item, depth + 1) for item in list.__iter__(value)]
    for kind, name in _COLLECTIONS:
        if isinstance(value, kind):
            return {name: [_encoded(item, depth + 1) for item in kind.__iter__(value)]}
    if isinstance(value, dict):
        pairs = dict.items(value)
        return {"dict": [[_encoded(key, depth + 1), _encoded(item, depth + 1)] for key, item in pairs]}
    return _rarer(value, depth)


def _rarer(value: Any, depth: int) -> Any:
    """Views and iterators as their items, numbers of the standard library as text."""
    kind = type(value)
    if kind.__module__ == "decimal" and kind.__name__ == "Decimal":
        return {"decimal": str(value)}
    if kind.__module__ == "fractions" and kind.__name__ == "Fraction":
        return {"fraction": str(value)}
    if kind.__module__ == "builtins" and hasattr(kind, "__next__"):
        items: list[Any] = []
        for item in value:
            if len(items) == _ITEMS:
                raise NotPlain(f"an iterator of more than {_ITEMS} items")
            items.append(_encoded(item, depth + 1))
        return {"iterator": items}
    if kind.__name__ in ("dict_keys", "dict_values", "dict_items") and kind.__module__ == "builtins":
        as_set = kind.__name__ == "dict_keys"
        return {"set" if as_set else "list": [_encoded(item, depth + 1) for item in value]}
    raise NotPlain(f"an object of the class {kind.__name__}")


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    tag: str
    held: Any
    ((tag, held),) = value.items() if len(value) == 1 else (("", None),)
    if tag == "int":
        return int(held, 16)
    if tag == "float":
        return float(held)
    if tag in ("decimal", "fraction"):
        return _number(tag, held)
    if tag in ("bytes", "bytearray"):
        raw = bytes.fromhex(held)
        return raw if tag == "bytes" else bytearray(raw)
    if tag == "dict":
        return {_decoded(key): _decoded(item) for key, item in held}
    if tag in _MAKERS:
        return _MAKERS[tag]([_decoded(item) for item in held])
    if tag == "complex":
        real, imaginary = held
        return complex(_decoded(real), _decoded(imaginary))
    if tag == "range":
        start, stop, step = held
        return range(_decoded(start), _decoded(stop), _decoded(step))
    raise ValueError(f"an unknown tag {tag!r}")


def _number(tag: str, text: str) -> Any:
    if tag == "decimal":
        from decimal import Decimal

        return Decimal(text)
    from fractions import Fraction

    return Fraction(text)
