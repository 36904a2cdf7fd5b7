"""The trend: a file of JSON lines, one a checkpoint that was checked against a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalharness.comparison.gate import GateResult
from evalharness.errors import DataError, DiskError
from evalharness.records.strict_json import one_line, parse


def entry(result: GateResult, *, checkpoint: str, date: str) -> dict[str, Any]:
    """The line of one checked checkpoint."""
    return {
        "date": date,
        "checkpoint": checkpoint,
        "gate": result.gate,
        "verdict": result.verdict,
        "look": result.look,
        "tasks": {
            verdict.task: {
                "verdict": verdict.verdict,
                "metric": verdict.metric,
                "score": verdict.difference.candidate if verdict.difference else None,
                "gain": verdict.difference.gain if verdict.difference else None,
                "lower": verdict.lower,
                "upper": verdict.upper,
                "margin": verdict.margin,
                "n": verdict.n,
            }
            for verdict in result.verdicts
        },
    }


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line.

    Raises:
        DiskError: the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(one_line(line))
    except OSError as error:
        raise DiskError(f"{path}: cannot be written: {error.strerror}.") from None


def read(path: Path) -> list[dict[str, Any]]:
    """Every line; none where there is no file yet.

    Raises:
        DataError: a line is no JSON object with a checkpoint.
    """
    if not path.is_file():
        return []
    lines = []
    for number, raw in enumerate(path.read_bytes().splitlines(), 1):
        line = parse(raw)
        if line is None or "checkpoint" not in line:
            raise DataError(f"{path}: line {number} is no entry of a trend; delete that line to go on.")
        lines.append(line)
    return lines


def looks(lines: list[dict[str, Any]], gate: str) -> int:
    """How many checkpoints of the series this gate has judged."""
    return sum(line.get("gate") == gate for line in lines)
