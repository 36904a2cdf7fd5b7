"""Rows of one split with their original positions, and where they came from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evalharness.errors import DataError, nearest

SourceKind = Literal["mirror", "file", "package", "published", "generator", "hub", "demo"]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a split was read, as a record keeps it."""

    kind: SourceKind
    location: str
    """Path inside the mirror or package, path of the file, id on the hub, name of the generator or demo; of a published
    file the path below extra/ or the address."""
    split: str
    config: str | None = None
    sha256: str | None = None
    """Of the file as it lies on disk; None where there is no one file."""
    revision: str | None = None
    """Commit on the hub, or version of the package."""
    n: int
    """Rows read."""
    of: int | None
    """Rows that the original split has; None where nobody knows."""
    joined: Source | None = None
    """Where the columns that were joined to it were read."""
    corpus: CorpusSource | None = None
    """Of the passages that were found for its rows."""

    def __str__(self) -> str:
        """For people: ``openai/gsm8k/main/test.jsonl.gz (mirror), 1319 of 1319 rows``."""
        rows = f"{self.n} rows of an unknown number" if self.of is None else f"{self.n} of {self.of} rows"
        return f"{self.location} ({self.kind}), {rows}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSource:
    """A corpus that passages were looked up in, as a record keeps it."""

    fingerprint: str
    """sha256 of the passages and of how they are searched."""
    passages: int
    sources: tuple[Source, ...]
    """Where its parts were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One split of one configuration, whole or in part."""

    rows: Sequence[Row]
    indices: Sequence[int]
    """Position of each row in the original split."""
    total: int | None
    """Rows that the original split has; None where nobody knows."""
    source: Source


def make_split(rows: Sequence[Row], indices: Sequence[int] | None, source: Source) -> Split:
    """A `Split` of `rows`, which are the whole split in order where `indices` is None.

    Raises:
        DataError: there are no rows, `indices` does not fit them, or positions lie outside `source.of`.
    """
    where, positions = source.location, range(len(rows)) if indices is None else indices
    if not rows:
        raise DataError(f"{where}: split '{source.split}' has no rows; a data file needs at least one.")
    if len(positions) != len(rows):
        raise DataError(f"{where}: {len(rows)} rows but {len(positions)} indices; there must be one index a row.")
    if min(positions) < 0 or len(set(positions)) != len(positions):
        raise DataError(f"{where}: its indices hold a negative or repeated number; each is one row's own position.")
    if source.of is not None and max(positions) >= source.of:
        raise DataError(
            f"{where}: a row stands at position {max(positions)}, but the original split '{source.split}' is said "
            f"to have {source.of} rows; correct data.rows of the task or source_rows of the mirror."
        )
    return Split(rows=rows, indices=positions, total=source.of, source=source)


def require_columns(split: Split, columns: Collection[str]) -> None:
    """Check that every row has every one of `columns`.

    Raises:
        DataError: one is missing; the source, the column, the first such row and the nearest column are named.
    """
    wanted = frozenset(columns)
    for position, row in zip(split.indices, split.rows, strict=True):
        if not wanted <= row.keys():
            missing = min(wanted - row.keys())
            raise DataError(
                f"{split.source.location}: no column '{missing}' in row {position} of split "
                f"'{split.source.split}'; {nearest(missing, row.keys())}"
            )
