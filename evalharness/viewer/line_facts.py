"""The few things of a journal line that lists and filters ask for, from the few bytes that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from evalharness.records.encode import FLAGS
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
            return Facts(str(line["id"]), _subset(line), *tail)
    line = parse(raw)
    tail = _tail(line)
    return None if line is None or tail is None or "id" not in line else Facts(str(line["id"]), _subset(line), *tail)


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
