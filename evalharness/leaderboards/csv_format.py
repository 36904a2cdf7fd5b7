"""The table as comma-separated values."""

from __future__ import annotations

import csv
import io

from evalharness.leaderboards import shown
from evalharness.leaderboards.board import Board, Cell, Number


def comma_separated(board: Board) -> str:
    """One line a model; every column brings value, interval, normalised value, n, hash, date and footnote."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    abilities = board.abilities
    head = ["rank", "model", "family", "size", "type"]
    head += ["average", "average low", "average high"] if board.average_name else []
    head += abilities
    for table in board.columns:
        name = table.column.name
        head += [name, *(f"{name} {what}" for what in
                         ("low", "high", "normalised", "n", "protocol hash", "date", "footnote"))]  # fmt: skip
    writer.writerow([*head, *board.definition.efficiency])
    for row in board.rows:
        model = row.model
        line: list[object] = [shown.rank(row.rank), model.name, model.family, model.size, model.type]
        line += _ends(row.average) if board.average_name else []
        line += [_value(row.groups[ability]) for ability in abilities]
        for table in board.columns:
            line += _csv_cell(row.cells.get(table.column.name), board)
        writer.writerow([*line, *row.efficiency.values()])
    return file.getvalue()


def _csv_cell(cell: Cell | None, board: Board) -> list[object]:
    if cell is None:
        return [None] * 8
    note = "" if cell.footnote is None else board.footnotes[cell.footnote - 1]
    return [*_ends(cell.raw), _value(cell.normalised), cell.n, cell.protocol_hash, cell.date, note]


def _ends(found: Number | None) -> list[float | None]:
    return [None] * 3 if found is None else [found.value, found.low, found.high]


def _value(found: Number | None) -> float | None:
    return None if found is None else found.value
