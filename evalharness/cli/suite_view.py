"""A suite's table in its published layout, as lines and as JSON; and which of its rows run here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from evalharness.cli.printing import averaged, shown
from evalharness.text_table import columns

if TYPE_CHECKING:
    from evalharness.run.suite_tables import SuiteCell, SuiteRow, SuiteTable
    from evalharness.tasks.availability import Available

_HEAD = ("column", "protocol", "metric", "score", "n", "note")


def table_lines(table: SuiteTable) -> list[str]:
    """The layout once for each model: a line for each column, under its ability."""
    lines = []
    for place, model in enumerate(table.models):
        rows = [_HEAD, *(_row(row, row.cells[place]) for row in table.rows)]
        averages = [(ability, found) for ability, found in table.averages if found.model == model]
        for ability, found in averages:
            score, missing = averaged(found)
            rows.append(
                (f"average: {ability}" if ability else "average", "", f"of {len(found.parts)}", score, "", missing)
            )
        head, *body = columns(rows)
        lines += [typer.style(f"{table.suite} · {model}", bold=True), f"  {head}"]
        before = ""
        for line, row in zip(body, table.rows, strict=False):
            if row.ability != before:
                before = row.ability
                lines.append(typer.style(row.ability, bold=True))
            lines.append(f"  {line}")
        lines += [f"  {line}" for line in body[len(table.rows) :]]
    return lines


def _row(row: SuiteRow, cell: SuiteCell) -> tuple[str, ...]:
    told = [*row.changes, *cell.changes, *([row.note] if row.note else [])]
    if cell.score is None or cell.score.value is None:
        return row.label, row.protocol, cell.metric, "", "", "; ".join([f"empty: {cell.why}", *told])
    arrow = "↑" if cell.score.higher_is_better else "↓"
    n = f"{cell.score.n} of {'?' if cell.of is None else cell.of}"
    return row.label, row.protocol, f"{cell.metric} {arrow}", shown(cell.score), n, "; ".join(told)


def table_json(table: SuiteTable) -> dict[str, Any]:
    """Every cell with its score, interval and n, or the reason why it is empty."""
    return {
        "suite": table.suite,
        "description": table.description,
        "models": list(table.models),
        "layout": [
            {
                "ability": row.ability,
                "column": row.label,
                "task": row.task,
                "protocol": row.protocol,
                "changes": list(row.changes),
                "note": row.note,
                "cells": [
                    {"model": model, **_cell_json(cell)} for model, cell in zip(table.models, row.cells, strict=True)
                ],
            }
            for row in table.rows
        ],
        "averages": [{"ability": ability, **asdict(average)} for ability, average in table.averages],
    }


def _cell_json(cell: SuiteCell) -> dict[str, Any]:
    return {
        "metric": cell.metric,
        "score": None if cell.score is None else cell.score.model_dump(mode="json"),
        "of": cell.of,
        "changes": list(cell.changes),
        "run": cell.run,
        "empty": cell.why,
    }


def availability_lines(rows: Sequence[Available]) -> list[str]:
    """One line for each row: label, protocol, state, and what is missing."""
    table = columns(
        [
            (row.label, row.protocol, row.metric, row.state + (f": {row.why}" if row.why else ""), row.note)
            for row in rows
        ]
    )
    lines, before = [], ""
    for line, row in zip(table, rows, strict=True):
        if row.ability != before:
            before = row.ability
            lines.append(typer.style(row.ability, bold=True))
        lines.append(f"  {line}")
    return lines
