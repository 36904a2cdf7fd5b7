"""The table's files: writing them, and comparing them with those that are committed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalharness.errors import DiskError, EvalHarnessError
from evalharness.leaderboards.board import Board
from evalharness.leaderboards.csv_format import comma_separated
from evalharness.leaderboards.json_format import as_json
from evalharness.leaderboards.latex_format import latex
from evalharness.leaderboards.markdown_format import markdown
from evalharness.leaderboards.page import html
from evalharness.records.run import differences

JSON = "leaderboard.json"


class StaleError(EvalHarnessError):
    """A committed table is not what its runs make."""

    exit_code = 1


def texts(board: Board) -> dict[str, str]:
    """Every format by the name of its file. Equal inputs make equal bytes."""
    return {
        JSON: as_json(board),
        "leaderboard.md": markdown(board),
        "leaderboard.csv": comma_separated(board),
        "leaderboard.tex": latex(board),
        "leaderboard.html": html(board),
    }


def write(made: Mapping[str, str], folder: Path) -> None:
    """Write the files, each whole or not at all.

    Raises:
        DiskError: the disk refuses.
    """
    for name, text in made.items():
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            draft = folder / f"{name}.part"
            draft.write_text(text, encoding="utf-8", newline="\n")
            os.replace(draft, path)
        except OSError as error:
            raise DiskError(f"{path}: cannot be written: {error.strerror}.") from None


def check(made: Mapping[str, str], folder: Path) -> None:
    """Compare with what stands in the folder.

    Raises:
        StaleError: a file is missing or differs; the first differing cell is named.
        DiskError: a file cannot be read.
    """
    for name, text in made.items():
        path = folder / name
        try:
            kept = path.read_bytes()
        except FileNotFoundError:
            raise StaleError(
                f"{path}: no such file; `evalharness leaderboard build` without --check writes it."
            ) from None
        except OSError as error:
            raise DiskError(f"{path}: cannot be read: {error.strerror}.") from None
        if kept != text.encode():
            what = _first_difference(kept, text) if name == JSON else _first_line(kept, text)
            raise StaleError(f"{path}: {what}; `evalharness leaderboard build` without --check writes it anew.")


def _first_difference(kept: bytes, text: str) -> str:
    """Of two tables in JSON: a cell, where one differs."""
    now = json.loads(text)
    try:
        before = json.loads(kept)
        cells = {name: model["cells"] for name, model in before["models"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return "no table of this version"
    for name, model in now["models"].items():
        if name not in cells:
            return f"{name} is not in the committed table"
        for column in model["cells"] | cells[name]:
            if changed := _changed(cells[name].get(column), model["cells"].get(column)):
                return f"{name}, {column}: {changed}"
    if gone := next((name for name in cells if name not in now["models"]), None):
        return f"{gone} is in the committed table and not among the models"
    return _changed(before, now) or _first_line(kept, text)


def _changed(before: Any, now: Any) -> str | None:
    if before is None or now is None:
        return None if before is now else "is there now" if before is None else "is there no longer"
    found = differences(before, now)
    return found[0].replace(" before, ", " as committed, ") + " as built" if found else None


def _first_line(kept: bytes, text: str) -> str:
    before, now = kept.decode("utf-8", "replace").splitlines(), text.splitlines()
    number = next((at for at, (old, new) in enumerate(zip(before, now, strict=False)) if old != new), None)
    return f"line {(min(len(before), len(now)) if number is None else number) + 1} differs"
