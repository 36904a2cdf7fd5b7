"""Rows of files of conversations, each with its place."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from evalharness.stack.corpus.documents import files_of
from evalharness.stack.corpus.options import SourceOptions
from evalharness.stack.errors import CorpusError, TrainingError

PARQUET_ROWS = 256
"""Rows that are read at a time."""


@dataclass(frozen=True, slots=True)
class Row:
    """An object of JSON, or a row of parquet."""

    where: str
    """``chats.jsonl:3``, ``chats.parquet: row 3``."""
    values: Mapping[str, Any]


def rows_of(name: str, paths: Sequence[str], base: Path) -> Iterator[Row]:
    """Every row of the files that a source names, in order.

    Raises:
        TrainingError: there is no such file, or one is of another kind, damaged, or holds a line that is no object.
    """
    try:
        files = files_of(SourceOptions(name=name, paths=tuple(paths)), base)
    except CorpusError as error:
        raise TrainingError(f"data.{error}") from None
    for path in files:
        yield from read_rows(path)


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, numbered from 1; empty lines are passed over.

    Raises:
        TrainingError: as `rows_of`.
    """
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix == ".parquet":
        yield from _parquet(path)
    elif suffix in (".jsonl", ".ndjson"):
        try:
            with cast(IO[bytes], gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as file:
                yield from _json_lines(file, path)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise TrainingError(f"{path}: damaged or cut off ({error}); get the file anew.") from None
    else:
        raise TrainingError(f"{path}: conversations are read from .jsonl, .ndjson (both also .gz) and .parquet.")


def _json_lines(file: IO[bytes], path: Path) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            values = json.loads(line.decode("utf-8").removeprefix("\ufeff"))
        except UnicodeDecodeError as error:
            raise TrainingError(f"{where}: byte {error.start} (0x{line[error.start]:02x}) is no UTF-8.") from None
        except (ValueError, RecursionError) as error:
            raise TrainingError(f"{where}: not valid JSON ({error}).") from None
        if not isinstance(values, dict):
            raise TrainingError(f"{where}: a {type(values).__name__}; each line must hold a JSON object.")
        yield Row(where, values)


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise TrainingError(f"{path}: parquet needs pyarrow: pip install 'evalharness[corpus]'.") from None
    number = 0
    try:
        with parquet.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=PARQUET_ROWS):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(f"{path}: row {number}", values)
    except (pyarrow.ArrowInvalid, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: not a whole parquet file ({str(error).splitlines()[0]}); get it anew.") from None
