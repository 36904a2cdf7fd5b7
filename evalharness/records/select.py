"""Samples of a journal by what became of them, read lazily: the first page of a long journal costs no whole reading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.errors import DataError, DiskError, UsageError, nearest
from evalharness.records.evidence import labels_of
from evalharness.records.strict_json import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is wanted. Different kinds of condition must all hold; of several flags, or labels, any one is enough."""

    right: bool | None = None
    """Score 1, or below 1; a sample that failed is neither."""
    metric: str | None = None
    """By which metric; the first one unless given."""
    flags: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    """Of verdicts."""
    subset: str | None = None
    id: str | None = None


def selected(path: Path, wanted: Filter) -> Iterator[dict[str, Any]]:
    """The samples that fit, in the order of the journal, each once.

    A sample has several lines only where it failed and was asked again (`records.journal`), so a line that did not
    fail is always the last of its sample; only for one that failed must the rest of the file be looked at.

    Raises:
        UsageError: the metric, or a label, is none of the journal's.
        DataError: there is no journal, or a line before the last is damaged.
        DiskError: it cannot be read.
    """
    later: dict[str, int] | None = None
    found = False
    for number, raw in enumerate(_raw_lines(path)):
        if not _may_fit(raw, wanted):
            continue
        line = _whole(raw, path, number)
        if not _fits(line, wanted):
            continue
        if line.get("error"):
            later = _last_lines(path) if later is None else later
            if later.get(line["id"], number) != number:
                continue
        found = True
        yield line
    if wanted.labels and not found:
        _check_labels(path, wanted.labels)


def _check_labels(path: Path, labels: frozenset[str]) -> None:
    """Nothing was found: perhaps since a label is misspelled."""
    known = {
        label
        for number, raw in enumerate(_raw_lines(path))
        if b'"verdicts"' in raw
        for label in labels_of(_whole(raw, path, number))
    }
    for label in sorted(labels - known):
        raise UsageError(f"--outcome {label}: no verdict of {path} is so; {nearest(label, known)}")


def _raw_lines(path: Path) -> Iterator[bytes]:
    """Whole lines; a torn last one, of a run that is killed or still writing, is left out."""
    try:
        with path.open("rb") as file:
            for raw in file:
                if raw.endswith(b"\n"):
                    yield raw
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; a run's folder keeps its samples there.") from None
    except OSError as error:
        raise DiskError(f"{path}: the journal cannot be read ({error.strerror or error}).") from error


def _whole(raw: bytes, path: Path, number: int) -> dict[str, Any]:
    line = parse(raw)
    if line is None or "id" not in line:
        raise DataError(f"{path}: line {number + 1} is damaged; mend or delete that line to go on.")
    return line


def _last_lines(path: Path) -> dict[str, int]:
    """Number of the last line of every sample."""
    found = {}
    for number, raw in enumerate(_raw_lines(path)):
        id = _piece(raw, b'"id":')
        found[id if isinstance(id, str) else _whole(raw, path, number)["id"]] = number
    return found


def _may_fit(raw: bytes, wanted: Filter) -> bool:
    """Whether the line is worth parsing whole, by the few bytes that tell.

    A quotation mark inside a text is escaped, so the first ``,"scores":`` of a line is its key.
    """
    if wanted.flags:
        flags = _piece(raw, b',"flags":')
        if isinstance(flags, list) and not wanted.flags & set(flags):
            return False
    if wanted.right is not None:
        scores = _piece(raw, b',"scores":')
        if isinstance(scores, dict) and not _scored_so(scores, wanted):
            return False
    if wanted.labels and b'"verdicts"' not in raw:
        return False
    return wanted.id is None or _piece(raw, b'"id":') in (wanted.id, None)


def _fits(line: dict[str, Any], wanted: Filter) -> bool:
    return (
        (not wanted.flags or bool(wanted.flags & set(line["flags"])))
        and (wanted.right is None or _scored_so(line["scores"], wanted))
        and (not wanted.labels or not wanted.labels.isdisjoint(labels_of(line)))
        and (wanted.subset is None or line.get("subset") == wanted.subset)
        and (wanted.id is None or line["id"] == wanted.id)
    )


def _scored_so(scores: dict[str, Any], wanted: Filter) -> bool:
    if not scores:
        return False
    name = wanted.metric or next(iter(scores))
    if name not in scores:
        raise UsageError(f"--metric {name}: the run has no such metric; it has {', '.join(scores)}.")
    # A score that is no number compares false, and is wrong.
    return (float(scores[name]) >= 1.0) == wanted.right


_DECODER = json.JSONDecoder()
_REACH = 2000
"""Bytes behind a key that are looked at; a longer value is left to the whole reading."""


def _piece(raw: bytes, key: bytes) -> Any:
    """The value of the first such key; None where it cannot be told cheaply."""
    at = raw.find(key)
    if at < 0:
        return None
    begin = at + len(key)
    try:
        return _DECODER.raw_decode(raw[begin : begin + _REACH].decode(errors="ignore"))[0]
    except ValueError:
        return None
