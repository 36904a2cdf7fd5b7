"""Bundled rows in a benchmark's style: they show that a run works, and measure nothing."""

from __future__ import annotations

from pathlib import Path

from evalharness.data.files import read_rows
from evalharness.data.options import DataOptions
from evalharness.data.split import Source, Split, make_split
from evalharness.errors import DataError, nearest
from evalharness.hashing import sha256_file

FOLDER = Path(__file__).parent / "bundled"
DEMONSTRATIONS = 5
"""Rows at the head of a bundled file that are demonstrations; the rest is evaluated."""


def load(options: DataOptions, split: str) -> Split:
    """The evaluated rows of the bundled sample, or its demonstrations for any other split.

    Raises:
        DataError: no sample of that name is bundled.
    """
    path = FOLDER / f"{options.demo}.jsonl"
    if not path.is_file():
        bundled = [file.stem for file in FOLDER.glob("*.jsonl")]
        raise DataError(f"data.demo: no bundled sample '{options.demo}'; {nearest(str(options.demo), bundled)}")
    everything = read_rows(path)
    rows = everything[DEMONSTRATIONS:] if split == options.split else everything[:DEMONSTRATIONS]
    source = Source(kind="demo", location=path.stem, split=split, sha256=sha256_file(path), n=len(rows), of=len(rows))
    return make_split(rows, None, source)
