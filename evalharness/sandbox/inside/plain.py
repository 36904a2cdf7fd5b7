"""Values between boxes: JSON with a tag for what JSON lacks. Only data can be said in it, no object with behaviour.

Whatever class a value is of, its receiver gets the plain type that it extends: a named tuple arrives as a tuple, a list
with an `__eq__` of its own as a list, so no method that a candidate wrote ever runs where it is compared. Classes of
the standard library that hold data (Counter, deque, dates, ...) arrive as themselves.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False  # inside/__init__.py says why
if TYPE_CHECKING:
    from typing import Any

_ITEMS = 100_000
"""An iterator is sent as its items, so many at most."""
_DEPTH = 200
_DIGITS = 5_000
"""Of a fraction or a decimal number: larger exponents would be computed without an end."""
_COLLECTIONS: tuple[tuple[Any, str], ...] = ((tuple, "tuple"), (set, "set"), (frozenset, "frozenset"))
_MAKERS: dict[str, Any] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "iterator": iter,
    "keys": lambda items: dict.fromkeys(items).keys(),
    "values": lambda items: dict(enumerate(items)).values(),
    "items": lambda items: dict(items).items(),
}
_FACTORIES = {"list": list, "int": int, "dict": dict, "set": set, "str": str, "float": float, "bool": bool, "": None}
"""Of a defaultdict: plain ones arrive, others do not."""


class NotPlain(Exception):
    """The value is no plain data."""


def encoded(value: Any, depth: int = 0) -> Any:
    """The value as JSON can hold it.

    Raises:
        NotPlain: it holds something that is no data, or goes too deep.
    """
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
        return {"complex": [encoded(value.real), encoded(value.imag)]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes" if isinstance(value, bytes) else "bytearray": bytes(value).hex()}
    if isinstance(value, range):
        return {"range": [encoded(part) for part in (value.start, value.stop, value.step)]}
    if isinstance(value, list):
        return _items(list.__iter__(value), depth)
    for kind, name in _COLLECTIONS:
        if isinstance(value, kind):
            return {name: _items(kind.__iter__(value), depth)}
    if isinstance(value, dict):
        return _dictionary(value, depth)
    return _rarer(value, depth)


def _items(values: Any, depth: int) -> list[Any]:
    items: list[Any] = []
    for item in values:
        if len(items) == 10 * _ITEMS:
            raise NotPlain(f"more than {10 * _ITEMS} items")
        items.append(encoded(item, depth + 1))
    return items


def _dictionary(value: Any, depth: int) -> Any:
    pairs = [[encoded(key, depth + 1), encoded(item, depth + 1)] for key, item in dict.items(value)]
    kind = _standard(value)
    if kind == "collections.defaultdict":
        factory = value.default_factory
        name = "" if factory is None else getattr(factory, "__name__", "?")
        return {"defaultdict": [name, pairs]} if _FACTORIES.get(name, 0) is factory else {"dict": pairs}
    return {{"collections.OrderedDict": "OrderedDict", "collections.Counter": "Counter"}.get(kind, "dict"): pairs}


def _standard(value: Any) -> str:
    """Where the value's own class comes from: ``collections.deque``."""
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _rarer(value: Any, depth: int) -> Any:
    """Numbers, dates and containers of the standard library; views and iterators as their items."""
    kind = _standard(value)
    if kind in ("decimal.Decimal", "fractions.Fraction"):
        return {kind.partition(".")[2].lower(): str(value)}
    if kind == "collections.deque":
        return {"deque": [_items(value, depth), value.maxlen]}
    if kind in ("datetime.date", "datetime.datetime", "datetime.time") and getattr(value, "tzinfo", None) is None:
        return {kind.partition(".")[2]: value.isoformat()}
    if kind == "datetime.timedelta":
        return {"timedelta": [value.days, value.seconds, value.microseconds]}
    if kind in ("builtins.dict_keys", "builtins.dict_values", "builtins.dict_items"):
        return {kind.rpartition("_")[2]: _items(value, depth)}
    if kind.startswith(("builtins.", "itertools.")) and hasattr(type(value), "__next__"):
        items: list[Any] = []
        for item in value:
            if len(items) == _ITEMS:
                raise NotPlain(f"an iterator of more than {_ITEMS} items")
            items.append(encoded(item, depth + 1))
        return {"iterator": items}
    raise NotPlain(f"an object of the class {type(value).__name__}")


def decoded(value: Any) -> Any:
    """The value that `encoded` was given.

    Raises:
        ValueError: it was encoded by somebody else.
    """
    try:
        return _decoded(value)
    except (RecursionError, TypeError, KeyError, ArithmeticError) as error:
        raise ValueError(f"no plain data: {error}") from None


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
    if tag in ("decimal", "fraction"):
        return _number(tag, held)
    if tag in ("OrderedDict", "Counter", "defaultdict", "deque"):
        return _collection(tag, held)
    return _date(tag, held)


def _number(tag: str, text: str) -> Any:
    if not re.fullmatch(
        rf"-?(?:\d{{1,{_DIGITS}}}(?:[./]\d{{1,{_DIGITS}}})?(?:E[+-]?\d{{1,3}})?|NaN|sNaN|Infinity)", text
    ):
        raise ValueError(f"not a number: {text[:40]!r}")
    if tag == "decimal":
        from decimal import Decimal

        return Decimal(text)
    from fractions import Fraction

    return Fraction(text)


def _collection(tag: str, held: Any) -> Any:
    import collections

    if tag == "deque":
        items, longest = held
        return collections.deque([_decoded(item) for item in items], longest)
    if tag == "defaultdict":
        name, pairs = held
        return collections.defaultdict(_FACTORIES[name], [(_decoded(key), _decoded(item)) for key, item in pairs])
    pairs = {_decoded(key): _decoded(item) for key, item in held}
    return collections.OrderedDict(pairs) if tag == "OrderedDict" else collections.Counter(pairs)


def _date(tag: str, held: Any) -> Any:
    import datetime

    if tag == "timedelta":
        days, seconds, microseconds = held
        return datetime.timedelta(days, seconds, microseconds)
    if tag not in ("date", "datetime", "time"):
        raise ValueError(f"an unknown tag {tag!r}")
    return getattr(datetime, tag).fromisoformat(held)
