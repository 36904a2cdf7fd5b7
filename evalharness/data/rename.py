"""Columns under another name: one whose own name differs from subset to subset, or is no name for a template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from evalharness.data.split import Split, require_columns


def renamed(split: Split, names: Mapping[str, str], subset: str | None) -> Split:
    """The split with its columns under their new names; ``{subset}`` in an old name is filled in.

    Raises:
        DataError: a row lacks such a column.
    """
    if not names:
        return split
    new = {old.replace("{subset}", subset or ""): name for old, name in names.items()}
    require_columns(split, new)
    return replace(split, rows=[{new.get(key, key): value for key, value in row.items()} for row in split.rows])
