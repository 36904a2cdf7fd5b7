"""The table as JSON: every number rounded, everything that the other formats show."""

from __future__ import annotations

import json
from typing import Any

from evalharness.leaderboards.board import Board, Cell, ColumnTable, Number, Row
from evalharness.leaderboards.gaps import Gap
from evalharness.leaderboards.shown import rank, rounded

FORMAT = 1
"""Version of the file; it grows when a key changes its meaning or goes away."""


def as_json(board: Board) -> str:
    return json.dumps(facts(board), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def facts(board: Board) -> dict[str, Any]:
    """Models in their order, by name."""
    definition = board.definition
    return {
        "kind": "leaderboard",
        "format": FORMAT,
        "leaderboard": definition.leaderboard,
        "title": board.title,
        "description": definition.description,
        "normalisation": definition.normalisation,
        "average": definition.average,
        "order": definition.order.model_dump(),
        "columns": {table.column.name: _column(table) for table in board.columns},
        "models": {row.model.name: _model(row) for row in board.rows},
        "footnotes": list(board.footnotes),
        "notes": list(board.notes),
        "trend": [
            {
                "title": series.title,
                "what": series.what,
                "points": [
                    {
                        "checkpoint": point.checkpoint,
                        "value": rounded(point.value),
                        "low": rounded(point.low),
                        "high": rounded(point.high),
                    }
                    for point in series.points
                ],
            }
            for series in board.trend
        ],
    }


def _column(table: ColumnTable) -> dict[str, Any]:
    column = table.column
    return {
        "task": column.task,
        "version": table.version,
        "protocol": table.protocol,
        "protocol_hash": table.protocol_hash,
        "metric": table.metric,
        "higher_is_better": table.higher_is_better,
        "n": table.n,
        "chance": column.chance,
        "best": column.best,
        "averaged": column.averaged,
        "ranks": {model: rank(found) for model, found in table.ranks.items()},
        "not_told_apart": [_gap(gap) for gap in table.unseparated],
    }


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "models": [gap.first, gap.second],
        "difference": rounded(gap.value),
        "low": rounded(gap.low),
        "high": rounded(gap.high),
        "p_adjusted": rounded(gap.p_adjusted),
    }


def _model(row: Row) -> dict[str, Any]:
    model = row.model
    return {
        "rank": rank(row.rank),
        "not_told_apart_from": list(row.rank.tied) if row.rank else [],
        "family": model.family,
        "size": model.size,
        "type": model.type,
        "link": model.link,
        "average": _number(row.average),
        "groups": {ability: _number(found) for ability, found in row.groups.items()},
        "cells": {column: _cell(cell) for column, cell in row.cells.items()},
        "efficiency": dict(row.efficiency),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    raw = cell.raw
    return {
        "value": raw.value if raw else None,
        "low": raw.low if raw else None,
        "high": raw.high if raw else None,
        "normalised": _number(cell.normalised),
        "n": cell.n,
        "protocol_hash": cell.protocol_hash,
        "date": cell.date,
        "run": cell.run,
        "samples": cell.link,
        "footnote": cell.footnote,
    }


def _number(found: Number | None) -> dict[str, float | None] | None:
    return None if found is None else {"value": found.value, "low": found.low, "high": found.high}
