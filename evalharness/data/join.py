"""Columns out of another split, where a data set keeps the questions in one file and the answers in another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evalharness.data.split import Row, Split, require_columns
from evalharness.errors import DataError


def joined(split: Split, other: Split, key: str) -> Split:
    """`split` with the columns that `other` has beside its own, each row from the row with the same value in `key`.

    A column of both must hold the same in both. Rows of `other` without a partner are passed over, since a mirror may
    hold a part of `split` only.

    Raises:
        DataError: the column is missing, two rows of `other` have one key, or a row of `split` has no partner there or
            one that contradicts it.
    """
    partners = _by_key(other, key)
    require_columns(split, [key])
    return replace(
        split,
        rows=[_joined(row, partners, split, other, key) for row in split.rows],
        source=replace(split.source, joined=other.source),
    )


def _by_key(other: Split, key: str) -> dict[Any, Row]:
    require_columns(other, [key])
    found: dict[Any, Row] = {}
    for row in other.rows:
        if found.setdefault(_key(row[key], other, key), row) is not row:
            raise DataError(
                f"{other.source.location}: two rows have {row[key]!r:.60} in column '{key}'; a row is joined with one."
            )
    return found


def _key(value: Any, split: Split, key: str) -> Any:
    if isinstance(value, str | int):
        return value
    raise DataError(
        f"{split.source.location}: {value!r:.60} in column '{key}' is no key; name a column of texts or whole numbers."
    )


def _joined(row: Row, partners: Mapping[Any, Row], split: Split, other: Split, key: str) -> Row:
    partner = partners.get(_key(row[key], split, key))
    if partner is None:
        raise DataError(
            f"{split.source.location}: the row with {row[key]!r:.60} in column '{key}' has no partner in "
            f"{other.source.location}; data.join needs one for every row."
        )
    for column in partner.keys() & row.keys():
        if partner[column] != row[column]:
            raise DataError(
                f"{split.source.location} and {other.source.location} have different values in column '{column}' of "
                f"the row {row[key]!r:.60}; what stands in both must be the same."
            )
    return {**partner, **row}
