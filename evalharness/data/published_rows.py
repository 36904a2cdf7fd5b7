"""Rows of a file that is published by itself, for benchmarks that no data set of the hub holds as they are used here.

Beside a copy in ``extra/`` a file ``NAME.indices.json`` says which of the original rows it carries, as in a mirror.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evalharness.data.mirror import Part, read_part
from evalharness.data.options import DataOptions, PublishedRowsOptions
from evalharness.data.published import beside_mirror, published_text
from evalharness.data.settings import SourceSettings
from evalharness.data.split import Row, Source, Split, make_split
from evalharness.errors import DataError
from evalharness.hashing import sha256_text


def load(options: DataOptions, split: str, settings: SourceSettings) -> Split:
    """The rows of `options.published`, whatever the split is called.

    Raises:
        MissingDataError: the file is neither at hand nor can it be fetched.
        DataError: it is malformed.
    """
    published = options.published
    assert published is not None
    text, location = published_text(
        published.path,
        published.url,
        settings,
        what="the rows of",
        remedy="--data-dir DIR with that file below extra/ beside DIR, or a network",
    )
    rows = _rows(text, published, location)
    part = _part_at_hand(published.path, settings)
    source = Source(
        kind="published",
        location=location,
        split=split,
        sha256=sha256_text(text),
        n=len(rows),
        of=options.rows.get(split) or (part.source_rows if part else len(rows)),
    )
    return make_split(rows, part.indices if part else None, source)


def _part_at_hand(path: str, settings: SourceSettings) -> Part | None:
    if (file := beside_mirror(path, settings)) is None:
        return None
    return read_part(file.with_name(f"{Path(path).stem}.indices.json"))


def _rows(text: str, published: PublishedRowsOptions, location: str) -> list[Row]:
    content = _content(text, location)
    shared: Row = {}
    if isinstance(content, dict) and published.rows is not None:
        if missing := [key for key in published.columns if key not in content]:
            raise DataError(f"{location}: the object has no '{missing[0]}', which data.published.columns names.")
        shared = {key: content[key] for key in published.columns}
        content = content.get(published.rows)
    elif isinstance(content, dict):
        content = [content]
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        key = f", or one object with such a list as '{published.rows}'" if published.rows else ""
        raise DataError(f"{location}: must be lines of JSON objects, a list of them{key}.")
    return [{**row, **shared} for row in content]


def _content(text: str, location: str) -> Any:
    """The file as one JSON value, or the values of its lines."""
    try:
        return json.loads(text)
    except ValueError:
        lines = enumerate(text.split("\n"), start=1)
        return [_value(line, f"{location}, line {number}") for number, line in lines if line.strip()]


def _value(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error}).") from None
