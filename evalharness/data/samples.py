"""Rows become samples: each gets a name that outlives its file, and a hash of what the task reads of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from evalharness.data.split import Row, Split, require_columns
from evalharness.errors import DataError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.types import Sample


def samples(
    split: Split,
    columns: Collection[str],
    *,
    subset: str | None = None,
    id_column: str | None = None,
    cluster_column: str | Sequence[str] | None = None,
) -> Iterator[Sample]:
    """Samples of a split, in its order.

    The id is the value of `id_column`, or the position in the original split; with a `subset`, ``subset/id``.
    The content hash is sha256(canonical JSON of the row's `columns`), so a column that the task does not read
    changes nothing. Samples whose `cluster_column` holds the same (each of them, where there are several) are
    one cluster, named by a hash of it.

    Raises:
        DataError: a column is missing (at the call); an id is missing or repeated, or a value cannot be
            hashed (when its sample is reached).
    """
    together = [cluster_column] if isinstance(cluster_column, str) else list(cluster_column or ())
    require_columns(split, {*columns, *together, *([id_column] if id_column else [])})
    return _samples(split, sorted(columns), subset, id_column, together)


def _samples(
    split: Split, columns: list[str], subset: str | None, id_column: str | None, together: list[str]
) -> Iterator[Sample]:
    where = split.source.location
    seen: dict[str, int] = {}
    for index, row in zip(split.indices, split.rows, strict=True):
        key = str(index) if id_column is None else _key(row[id_column], f"{where}: row {index}, column '{id_column}'")
        name = key if subset is None else f"{subset}/{key}"
        if seen.setdefault(name, index) != index:
            raise DataError(
                f"{where}: rows {seen[name]} and {index} both have the id '{name}' in column '{id_column}'; "
                "ids must differ, so name another column under data.id or leave it out."
            )
        yield Sample(
            id=name,
            index=index,
            row=row,
            content_hash=_content_hash(row, columns, where, index),
            subset=subset,
            cluster=_content_hash(row, together, where, index)[:16] if together else None,
        )


def _key(value: Any, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DataError(f"{where}: {value!r} is no id; an id is a text or a whole number.")
    return str(value)


def _content_hash(row: Row, columns: list[str], where: str, index: int) -> str:
    try:
        return sha256_text(canonical_json({column: row[column] for column in columns}))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{where}: row {index} cannot be hashed ({error}); the columns of a task hold text, finite numbers, "
            "true, false, null, and lists and objects of these."
        ) from None
