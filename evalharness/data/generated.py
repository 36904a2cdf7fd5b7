"""Rows that a generator of the registry makes."""

from __future__ import annotations

from evalharness.data.options import DataOptions
from evalharness.data.split import Source, Split, make_split
from evalharness.hashing import canonical_json, sha256_text
from evalharness.registry import lookup


def load(options: DataOptions, split: str) -> Split:
    """All rows of a generated split; its hash is that of the rows' canonical JSON.

    Raises:
        UsageError: no such generator.
        DataError: the generator knows no such split.
    """
    rows = lookup("generator", str(options.generator))(split)
    source = Source(
        kind="generator",
        location=str(options.generator),
        split=split,
        sha256=sha256_text(canonical_json(rows)),
        n=len(rows),
        of=len(rows),
    )
    return make_split(rows, None, source)
