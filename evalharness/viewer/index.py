"""The samples of a journal as columns: where each line stands, its score, its flags.

A line is a thousand bytes and more, of which the columns keep a few. The whole line is read when somebody looks at it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from evalharness.errors import DataError, DiskError
from evalharness.records.strict_json import parse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Index:
    """The samples that count, in the order of writing; each column has a place for each of them."""

    path: Path
    ids: list[str]
    starts: NDArray[np.int64]
    """Offset of the line's first byte."""
    lengths: NDArray[np.int64]
    """Bytes of the line, its newline included."""
    flags: NDArray[np.uint8]
    """Sums of `line_facts.BITS`."""
    subsets: NDArray[np.int32]
    """Position in `subset_names`; -1 for none."""
    subset_names: list[str]
    labels: NDArray[np.uint64]
    """The labels of the sample's verdicts: the sum of ``1 << position`` in `label_names`."""
    outcomes: NDArray[np.int32]
    """Position of the first verdict's label in `label_names`; -1 where there is no verdict."""
    label_names: list[str]
    scores: Mapping[str, NDArray[np.float64]]
    """By metric; NaN where the score is not a number, or missing."""
    scored: Mapping[str, NDArray[np.bool_]]
    """By metric: whether the sample has this score."""
    damaged: list[int]
    """Numbers of the lines that could not be read."""
    replaced: int
    """Lines that a later one of the same sample stands for."""
    torn: bool
    """Whether the last line has no end: it is still being written, or the run was killed."""
    complete: bool
    """False where only the beginning of the journal was read."""

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row by id."""
        return {id: row for row, id in enumerate(self.ids)}

    @cached_property
    def id_ranks(self) -> NDArray[np.int64]:
        """Place of each row among the ids, numbers in them compared as numbers: 2 before 10."""
        import numpy as np

        keys = [[int(part) if part.isdecimal() else part for part in re.split(r"(\d{1,18})", id)] for id in self.ids]
        ranks = np.empty(len(self), np.int64)
        ranks[sorted(range(len(self)), key=keys.__getitem__)] = np.arange(len(self))
        return ranks

    def outcome(self, id: str) -> str | None:
        """The label of a sample's first verdict; None where it has none, or is not here."""
        code = int(self.outcomes[self.row_of[id]]) if id in self.row_of else -1
        return self.label_names[code] if code >= 0 else None

    def raw(self, row: int, file: BinaryIO) -> bytes:
        """The line of a row, out of the opened journal."""
        file.seek(int(self.starts[row]))
        return file.read(int(self.lengths[row]))

    def lines(self, rows: Iterable[int]) -> Iterator[dict[str, Any] | None]:
        """Whole lines; None where a line is damaged beyond its few bytes.

        Raises:
            DataError, DiskError: the journal is gone, or cannot be read.
        """
        with opened(self.path) as file:
            for row in rows:
                line = parse(self.raw(row, file))
                yield line if line is not None and line.get("id") == self.ids[row] and _is_sample(line) else None


def _is_sample(line: Mapping[str, Any]) -> bool:
    """Whether everything that a page shows of a line is what it should be."""
    from pydantic import ValidationError

    from evalharness.records.sample import SampleRecord

    try:
        SampleRecord.model_validate(line)
    except ValidationError:
        return False
    return True


def opened(path: Path) -> BinaryIO:
    """The journal, to be read.

    Raises:
        DataError: there is none.
        DiskError: it cannot be opened.
    """
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; a run's folder keeps its samples there.") from None
    except OSError as error:
        raise DiskError(f"{path}: the journal cannot be read ({error.strerror or error}).") from error
