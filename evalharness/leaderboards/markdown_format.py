"""The table as Markdown."""

from __future__ import annotations

import re

from evalharness.leaderboards import shown
from evalharness.leaderboards.board import Board, Cell, ColumnTable
from evalharness.text_table import markdown_table


def markdown(board: Board) -> str:
    """The table, what its columns are, every cell with its facts, and the notes."""
    definition = board.definition
    parts = [[f"# {escape_markdown(board.title)}"]]
    if definition.description:
        parts.append([escape_markdown(definition.description)])
    parts.append(markdown_table(_markdown_rows(board)))
    parts.append([f"{number}. {escape_markdown(note)}" for number, note in enumerate(board.footnotes, 1)])
    parts.append([f"- {escape_markdown(note)}" for note in board.notes])
    parts.append([f"- {line}" for line in _tied(board)])
    parts += [["## Columns"], markdown_table(_column_rows(board))]
    parts += [["## Cells"], markdown_table(_cell_rows(board))]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def escape_markdown(text: str) -> str:
    """A text that Markdown shows as it stands, on one line. `markdown_table` sees to the bar."""
    return re.sub(r"([\\`*_\[\]<>&#~])", r"\\\1", " ".join(text.split()))


def _markdown_rows(board: Board) -> list[list[str]]:
    head = ["rank", "model"]
    if board.average_name:
        head.append(f"{board.average_name} {shown.arrow(board.average_higher_is_better)}")
    head += [escape_markdown(ability) for ability in board.abilities]
    head += [f"{escape_markdown(table.column.name)} {shown.arrow(table.higher_is_better)}" for table in board.columns]
    head += board.definition.efficiency
    rows = [head]
    for row in board.rows:
        name = escape_markdown(row.model.name)
        cells = [shown.rank(row.rank), f"[{name}](<{_address(row.model.link)}>)" if row.model.link else name]
        if board.average_name:
            cells.append(shown.average(board, row.average))
        cells += [shown.group(board, ability, row.groups[ability]) for ability in board.abilities]
        cells += [_markdown_cell(row.cells.get(table.column.name), table) for table in board.columns]
        cells += shown.quantities(board, row)
        rows.append(cells)
    return rows


def _markdown_cell(cell: Cell | None, table: ColumnTable) -> str:
    if cell is None:
        return ""
    text = shown.score(cell.raw, unit_interval=table.unit_interval)
    text = f"[{text}](<{_address(cell.link)}>)" if cell.link and text else text
    return f"{text} <sup>{cell.footnote}</sup>" if cell.footnote else text


def _address(link: str) -> str:
    return link.replace("<", "%3C").replace(">", "%3E").replace("\n", "%0A")


def _tied(board: Board) -> list[str]:
    return [
        f"{escape_markdown(row.model.name)} cannot be told apart from {escape_markdown(', '.join(row.rank.tied))}."
        for row in board.rows
        if row.rank and row.rank.tied
    ]


def _column_rows(board: Board) -> list[list[str]]:
    rows = [["column", "task", "version", "protocol", "hash", "metric", "n", "chance", "not told apart"]]
    for table in board.columns:
        column = table.column
        names = [column.name, column.task, str(table.version), table.protocol, table.protocol_hash, table.metric]
        chance = "" if column.chance is None else f"{column.chance:g}"
        pairs = f"{len(table.unseparated)} of {len(table.gaps)} pairs"
        rows.append([*map(escape_markdown, names), str(table.n), chance, pairs])
    return rows


def _cell_rows(board: Board) -> list[list[str]]:
    rows = [["model", "column", "score", "normalised", "n", "protocol", "date", "note"]]
    for row in board.rows:
        for table in board.columns:
            if (cell := row.cells.get(table.column.name)) is not None:
                rows.append([
                    escape_markdown(row.model.name),
                    escape_markdown(table.column.name),
                    shown.score(cell.raw, unit_interval=table.unit_interval),
                    shown.points(cell.normalised),
                    str(cell.n),
                    cell.protocol_hash,
                    cell.date,
                    "" if cell.footnote is None else f"note {cell.footnote}",
                ])  # fmt: skip
    return rows
