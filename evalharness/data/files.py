"""Rows of one file: jsonl and csv (plain or gzipped) and parquet."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from evalharness.errors import DataError, ServiceError

SUFFIXES = (".jsonl.gz", ".jsonl", ".json.gz", ".json", ".csv.gz", ".csv", ".parquet")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Every row of a file, by its suffix.

    Empty lines of a jsonl file are passed over; one may be named json. Cells of a csv file stay text: nothing guesses
    their types.

    Raises:
        DataError: unknown suffix, unreadable file, or a malformed row (file and line number are named).
        ServiceError: a parquet file without pyarrow installed.
    """
    suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), None)
    if suffix is None:
        raise DataError(f"{path}: not a file of rows; its name must end in one of {', '.join(SUFFIXES)}.")
    try:
        if suffix == ".parquet":
            return _parquet(path)
        with _open_text(path) as file:
            return list(_csv(file, path) if suffix.startswith(".csv") else _jsonl(file, path))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8.") from None
    except (OSError, EOFError, zlib.error) as error:  # the last two: a gzip stream that was cut or damaged
        raise DataError(f"{path}: cannot be read ({error}); it should be a whole {suffix} file.") from None


@contextmanager
def _open_text(path: Path) -> Iterator[IO[str]]:
    with path.open("rb") as raw, gzip.open(raw) if path.suffix == ".gz" else raw as binary:
        # utf-8-sig: files from Windows begin with a byte order mark. newline="": the csv module sees line ends itself.
        yield io.TextIOWrapper(binary, encoding="utf-8-sig", newline="" if ".csv" in path.suffixes else None)


def _jsonl(lines: Iterable[str], path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}, line {number}: not JSON ({error.msg} at column {error.colno}); each line is one JSON object."
            ) from None
        except ValueError as error:  # a whole number of thousands of digits
            raise DataError(f"{path}, line {number}: cannot be read ({str(error).partition(';')[0]}).") from None
        except RecursionError:
            raise DataError(f"{path}, line {number}: nested too deeply; each line is one JSON object.") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: a JSON {type(row).__name__}; each line is one JSON object.")
        yield row


def _csv(file: IO[str], path: Path) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(2**31 - 1)  # the module's own limit of 131,072 characters is less than a long document
    reader = csv.reader(file, strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) != len(header):
            raise DataError(f"{path}, line 1: a column name is repeated; each column needs a name of its own.")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, but the header names {len(header)} columns."
                )
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not csv ({error}); quote cells as RFC 4180 says.") from None


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise ServiceError(f"{path}: parquet needs pyarrow; type pip install 'evalharness[hub]'.") from None
    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except pyarrow.ArrowException as error:
        raise DataError(f"{path}: not a parquet file ({str(error).splitlines()[0]}).") from None
    return rows
