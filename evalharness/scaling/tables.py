"""Points in a table that somebody wrote: CSV with a head, or JSON lines."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evalharness.errors import DataError
from evalharness.scaling.points import FORWARD_AND_BACKWARD, ScalingPoint

NEEDED = ("parameters", "tokens", "loss")
OTHERS = ("name", "non_embedding_parameters", "compute")
ENDINGS = (".csv", ".jsonl")


def read_table(path: Path, *, non_embedding: bool, recorded: bool) -> list[ScalingPoint]:
    """One point a row.

    Args:
        non_embedding: N is the column ``non_embedding_parameters``.
        recorded: C is the column ``compute``; else 6 N D.

    Raises:
        DataError: a column is missing, a value is no number above 0, a loss is no number.
    """
    wanted = ["non_embedding_parameters" if non_embedding else "parameters", "tokens", "loss"]
    wanted += ["compute"] if recorded else []
    found = []
    for number, row in _rows(path):
        where = f"{path}, line {number}"
        if missing := [column for column in wanted if row.get(column) in (None, "")]:
            raise DataError(
                f"{where}: no {missing[0]}; the columns are {', '.join(NEEDED)}, and may be {', '.join(OTHERS)}."
            )
        parameters, tokens, loss, *compute = (_number(row[column], column, where) for column in wanted)
        found.append(
            ScalingPoint(
                name=str(row.get("name") or f"{path.name}:{number}"),
                parameters=parameters,
                tokens=tokens,
                compute=compute[0] if compute else FORWARD_AND_BACKWARD * parameters * tokens,
                loss=loss,
            )
        )
    if not found:
        raise DataError(f"{path}: no row; give one a training, with the columns {', '.join(NEEDED)}.")
    return found


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read: {why}.") from None
    if path.suffix == ".csv":
        reader = csv.DictReader(text.splitlines())
        for row in reader:
            yield reader.line_num, {key.strip(): value for key, value in row.items() if isinstance(key, str)}
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        yield number, _object(line, f"{path}, line {number}")


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise DataError(f"{where}: no JSON object.")
    return row


def _number(value: object, column: str, where: str) -> float:
    try:
        return float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except ValueError:
        raise DataError(f"{where}: {column} is {value!r}, which is no number.") from None
