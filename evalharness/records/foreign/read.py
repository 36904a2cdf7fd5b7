"""Reading files that another program wrote: every fault of theirs is one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from evalharness.errors import DataError, DiskError
from evalharness.records.scores import read_json

Value = TypeVar("Value")


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object of a file.

    Raises:
        DataError: it cannot be read, is torn, or holds something else.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise DataError(f"{path}: one JSON object is expected, and it holds a {type(found).__name__}.")
    return found


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file's lines, each with the number of its line.

    Raises:
        DataError: a line is torn or no object.
        DiskError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if not raw.strip():
                    continue
                try:
                    found = json.loads(raw)
                except (ValueError, RecursionError):
                    found = None
                if not isinstance(found, dict):
                    raise DataError(
                        f"{path}: line {number} is no whole JSON object; the file was cut off, so copy it again."
                    )
                yield number, found
    except OSError as error:
        raise DiskError(f"{path}: cannot be read: {error.strerror}.") from None


def part(values: Mapping[str, Any], key: str, kind: type[Value], where: str, otherwise: Value | None = None) -> Value:
    """A value of an object, of the wanted kind.

    Raises:
        DataError: it is missing, or something else.
    """
    found = values.get(key, otherwise)
    if found is None and otherwise is not None:
        return otherwise
    if not isinstance(found, kind):
        what = "is missing" if found is None else f"is a {type(found).__name__}"
        raise DataError(f"{where}: the key '{key}' {what}, where a {kind.__name__} is expected.")
    return found


@contextmanager
def as_declared(where: str, declared: str) -> Iterator[None]:
    """Turns what a value of another shape makes of the code that reads it into a sentence.

    Raises:
        DataError: in place of the errors of looking into something that is not what its format says.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where}: not as {declared} ({type(error).__name__}: {error}).") from error
