"""Subsets of a data set that has them all in one configuration, told apart by a column."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evalharness.data.split import Row, Split
from evalharness.errors import DataError, nearest


def of_subset(split: Split, column: str, subset: str) -> Split:
    """The rows of `split` that are of a subset, where they stand in it.

    How many the subset has is known where the split is whole.

    Raises:
        DataError: a row lacks the column, or no row is of the subset.
    """
    values = [_value(row, column, index, split) for index, row in zip(split.indices, split.rows, strict=True)]
    kept = [place for place, value in enumerate(values) if value == subset]
    if not kept:
        known = {value for value in values if isinstance(value, str)}
        raise DataError(
            f"{split.source.location}: no row has '{subset}' in column '{column}'; {nearest(subset, known)}"
        )
    total = len(kept) if split.total == len(split.rows) else None
    return replace(
        split,
        rows=[split.rows[place] for place in kept],
        indices=[split.indices[place] for place in kept],
        total=total,
        source=replace(split.source, config=subset, n=len(kept), of=total),
    )


def _value(row: Row, column: str, index: int, split: Split) -> Any:
    value: Any = row
    for name in column.split("."):
        if not isinstance(value, dict) or name not in value:
            raise DataError(
                f"{split.source.location}: no column '{column}' in row {index} of split '{split.source.split}', which "
                "says its subset; name it under data.subset_column."
            )
        value = value[name]
    return value
