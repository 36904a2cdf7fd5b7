"""Tables that every row of a data set refers to, such as the data base of all APIs that an answer may call.

A row holds the sha256 of the table, which is kept in the user's cache under that name: journals stay small, and scoring
an old run again finds the very table that it was scored by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from evalharness.data.options import TableOptions
from evalharness.data.published import cache_folder, published_text
from evalharness.data.settings import SourceSettings
from evalharness.data.split import Row, Split
from evalharness.errors import DataError, DiskError
from evalharness.hashing import canonical_json, sha256_text


def with_tables(split: Split, tables: Mapping[str, TableOptions], settings: SourceSettings) -> Split:
    """`split` with a column for each table, which holds the table's sha256.

    Raises:
        MissingDataError: a table is neither at hand nor can it be fetched.
        DataError: a table is malformed, or the rows have a column of its name.
        DiskError: the cache cannot be written.
    """
    if not tables:
        return split
    columns = {name: _kept(options, settings) for name, options in tables.items()}
    for name in columns:
        if name in split.rows[0]:
            raise DataError(
                f"{split.source.location}: there is a column '{name}' already; name data.tables another way."
            )
    return replace(split, rows=[{**row, **columns} for row in split.rows])


def _kept(options: TableOptions, settings: SourceSettings) -> str:
    """The sha256 of a table, once it is in the cache."""
    what, wanted = "the rows of the table", "--data-dir DIR with that file below extra/, or a network"
    text, location = published_text(options.path, options.url, settings, what=what, remedy=wanted)
    content = f"[{','.join(_cut(line, options, location, number) for number, line in _lines(text))}]"
    name = sha256_text(content)
    path = cache_folder("tables") / name
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{name}.partial")
            partial.write_text(content, encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise DiskError(f"{path}: the table cannot be kept ({error.strerror}); set XDG_CACHE_HOME.") from None
    return name


def _lines(text: str) -> list[tuple[int, str]]:
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _cut(line: str, options: TableOptions, location: str, number: int) -> str:
    """The canonical JSON of a row's columns."""
    try:
        row: Row = json.loads(line)
        return canonical_json([row[column] for column in options.columns])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(
            f"{location}, line {number}: no JSON object with {' and '.join(options.columns)} "
            f"({type(error).__name__}: {error})."
        ) from None


@lru_cache(maxsize=8)
def read_table(sha256: str) -> tuple[tuple[Any, ...], ...]:
    """The rows of a table: the values of its columns, in the order in which the task names them.

    Raises:
        DataError: it is not in the cache.
    """
    path = cache_folder("tables") / sha256
    if len(sha256) != 64 or not path.is_file():
        raise DataError(
            f"the table {sha256[:12]} is not in the cache {path.parent}; run the task once with its data at hand, "
            "which puts it there."
        )
    return tuple(tuple(row) for row in json.loads(path.read_text(encoding="utf-8")))
