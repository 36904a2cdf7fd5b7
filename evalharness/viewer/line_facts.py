"""The few things of a journal line that lists and filters ask for, from the few bytes that hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from evalharness.records.encode import FLAGS
from evalharness.records.evidence import labels_of
from evalharness.records.strict_json import parse

BITS = {flag: 1 << place for place, flag in enumerate(FLAGS)}
"""The bit of each flag in `Facts.flags`."""

Tails = dict[bytes, tuple[Mapping[str, float], int] | None]
"""Scores and flags by the bytes that say them; None where they are damaged."""


class Facts(NamedTuple):
    """Of one line."""

    id: str
    subset: str | None
    scores: Mapping[str, float]
    flags: int
    """Sum of `BITS`."""
    labels: Labels = ()
    """Of the verdicts, in their order."""


Labels = tuple[str, ...]
_VERDICTS = b'"verdicts":['
_OBJECTS = (b'"tool_uses":[', b'"tool_calls":[')
"""Keys below which stand objects that a model made, which may say anything."""
_LABEL = re.compile(rb'\{"judge":"(?:[^"\\]|\\.)*","candidate":\d+,"label":"([^"\\]*)"')

_MOST_TAILS = 10_000
"""Different ends of lines that are remembered: of zeros and ones there are few, of likelihoods no two are equal."""


def facts_of(raw: bytes, tails: Tails) -> Facts | None:
    """What the columns hold of a line; None where it is damaged.

    A quotation mark inside a text is escaped, so ``,"target":`` is a key wherever it stands. A second beginning of a
    line within this one is what a killed run leaves where another tool wrote on: such a line is read whole.
    """
    head, scores = raw.find(b',"target":'), raw.find(b',"scores":')
    end = raw.find(b',"repeats":[', scores)
    if 0 < head < scores < end and raw.endswith(b"}\n") and raw.find(b'{"task":', 1) < 0:
        line = parse(raw[:head] + b"}")
        key = raw[scores + 1 : end]
        if key in tails:
            tail = tails[key]
        else:
            tail = _tail(parse(b"{" + key + b"}"))
            if len(tails) < _MOST_TAILS:
                tails[key] = tail
        if line is not None and "id" in line and tail is not None:
            labels = () if raw.find(_VERDICTS, end) < 0 else _labels(raw, end)
            return Facts(str(line["id"]), _subset(line), *tail, labels)
    line = parse(raw)
    tail = _tail(line)
    if line is None or tail is None or "id" not in line:
        return None
    return Facts(str(line["id"]), _subset(line), *tail, _labels_of(line))


def _labels(raw: bytes, begin: int) -> Labels:
    """The labels of a line that has verdicts, from their first bytes; in a text these would be escaped."""
    if any(raw.find(key, begin) >= 0 for key in _OBJECTS):
        return _labels_of(parse(raw) or {})
    return tuple(label.decode(errors="replace") for label in _LABEL.findall(raw, begin))


def _labels_of(line: Mapping[str, Any]) -> Labels:
    """None of a line that is no sample, which is found when somebody looks at it."""
    try:
        return tuple(labels_of(line))
    except (AttributeError, TypeError):
        return ()


def _subset(line: Mapping[str, Any]) -> str | None:
    subset = line.get("subset")
    return None if subset is None else str(subset)


def _tail(line: Mapping[str, Any] | None) -> tuple[Mapping[str, float], int] | None:
    """Scores and flags; None where they are not what they should be."""
    if line is None:
        return None
    try:
        scores = {str(name): float(value) for name, value in line["scores"].items() if value is not None}
        flags = sum({BITS[flag] for flag in line["flags"] if flag in BITS})
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    return scores, flags | (BITS["errored"] if line.get("error") else 0)
