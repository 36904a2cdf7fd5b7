"""From runs to the table: cells, averages, ranks, footnotes."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from evalharness.errors import DataError
from evalharness.leaderboards.board import Board, Cell, ColumnTable, Number, Row
from evalharness.leaderboards.efficiency import efficiency
from evalharness.leaderboards.formulas import normalised_estimate
from evalharness.leaderboards.gaps import gaps, plain, separated
from evalharness.leaderboards.matching import Entry, Filled, fill
from evalharness.leaderboards.notes import notes
from evalharness.leaderboards.options import AVERAGE, Column, Leaderboard, Model
from evalharness.leaderboards.shown import rounded
from evalharness.leaderboards.sources import Sources
from evalharness.leaderboards.standing import Standing, group_averages, overall
from evalharness.leaderboards.trend_lines import Point, Series, in_order, of_file
from evalharness.records.format import RUN, SAMPLES
from evalharness.stats.intervals import Estimate
from evalharness.stats.ranks import Rank, ranks_of

REPORT = "report.html"
"""What `evalharness report` calls its file; where a run's folder has one, cells lead there."""


def build(path: Path, definition: Leaderboard, sources: Sources, output: Path) -> Board:
    """The table of a definition over what its models bring.

    Args:
        path: the definition's file.
        output: the folder that links begin in.

    Raises:
        DataError: a column has no run or no such metric, or the columns have no common direction to be averaged in.
        NotComparableError: a run does not fit its column, and the leaderboard refuses such.
    """
    filled = [fill(path, definition, column, sources) for column in definition.columns]
    tables = [_table(one, definition.alpha) for one in filled]
    _one_direction(path, definition, tables)
    estimates = {one.column.name: _estimates(one) for one in filled}
    standing = overall(definition, tables, estimates)
    order = _order(definition, tables, standing)
    groups = group_averages(definition, tables, estimates)
    footnotes: list[str] = []
    rows = [
        Row(
            model=model,
            rank=order[model.name][0],
            cells=_cells(model, filled, output, footnotes),
            average=_number(standing.averages.get(model.name)),
            groups={ability: _number(found.get(model.name)) for ability, found in groups.items()},
            efficiency=_efficiency(definition, model, filled),
        )
        for model in sorted(definition.models, key=lambda model: order[model.name][1])
    ]
    return Board(
        definition=definition,
        columns=tuple(tables),
        rows=tuple(rows),
        footnotes=tuple(footnotes),
        notes=notes(definition, filled),
        trend=_trend(path, definition, filled),
    )


def _table(one: Filled, alpha: float) -> ColumnTable:
    counted = {name: entry.scores for name, entry in one.counted.items()}
    pairs = gaps(counted, one.metric, one.facts)
    samples = one.reference.samples.values()
    values = [value for sample in samples if (value := sample.scores.get(one.metric)) is not None]
    return ColumnTable(
        column=one.column,
        metric=one.metric,
        higher_is_better=one.facts.higher_is_better,
        unit_interval=plain(one.reference, one.metric, one.facts)
        and all(0 <= value <= 1 for value in values if math.isfinite(value)),
        protocol=one.reference.protocol,
        protocol_hash=one.reference.hashes.get("protocol", "")[:12],
        version=one.reference.version,
        n=len(values),
        ranks=ranks_of(separated(sorted(counted), pairs, alpha)),
        gaps=tuple(pairs),
        unseparated=tuple(pair for pair in pairs if pair.p_adjusted >= alpha),
    )


def _one_direction(path: Path, definition: Leaderboard, tables: Sequence[ColumnTable]) -> None:
    averaged = [table for table in tables if table.column.averaged]
    directions = {table.higher_is_better: table.column.name for table in averaged}
    if definition.average == "macro" and definition.normalisation == "none" and len(directions) == 2:
        raise DataError(
            f"{path}: average: higher is better in {directions[True]} and lower in {directions[False]}, which have no "
            "common mean; normalise by chance, leave a column out with averaged: false, or average by win_rate."
        )
    for table in averaged if definition.normalisation == "chance" else ():
        if (table.column.best > (table.column.chance or 0)) != table.higher_is_better:
            better = "higher" if table.higher_is_better else "lower"
            raise DataError(f"{path}: columns: {table.column.name}: best must be {better} than chance in this metric.")


def _estimates(one: Filled) -> dict[str, Estimate]:
    """Of the cells that count."""
    return {name: _estimate(entry) for name, entry in one.counted.items()}


def _estimate(entry: Entry) -> Estimate:
    score = entry.score
    assert score is not None
    assert score.value is not None
    return Estimate(
        value=score.value, standard_error=score.standard_error, low=score.low, high=score.high, n=score.n,
        method=score.interval,
    )  # fmt: skip


def _order(
    definition: Leaderboard, tables: Sequence[ColumnTable], standing: Standing
) -> dict[str, tuple[Rank | None, tuple[bool, float, str]]]:
    """Every model's rank, and the key that rows are sorted by: best first, what has no value last."""
    by, sign = definition.order.by, 1.0
    values: Mapping[str, float]
    if by == AVERAGE:
        ranks = standing.ranks
        values = {name: found.value for name, found in standing.averages.items()}
        higher = standing.higher_is_better
    else:
        table = next(table for table in tables if table.column.name == by)
        ranks, values, higher = table.ranks, standing.values[by], table.higher_is_better
    if higher == (definition.order.direction == "best_first"):
        sign = -1.0
    return {
        model.name: (
            ranks.get(model.name),
            (model.name not in values, sign * values.get(model.name, 0.0), model.name),
        )
        for model in definition.models
    }


def _cells(model: Model, filled: Sequence[Filled], output: Path, footnotes: list[str]) -> dict[str, Cell]:
    cells = {}
    for one in filled:
        if (entry := one.entries.get(model.name)) is None:
            continue
        footnote = None
        if entry.obstacles:
            footnotes.append(
                f"{model.name}, {one.column.name}: in no rank and no average, for {'; '.join(entry.obstacles)}."
            )
            footnote = len(footnotes)
        cells[one.column.name] = _cell(model, one.column, entry, output, footnote)
    return cells


def _cell(model: Model, column: Column, entry: Entry, output: Path, footnote: int | None) -> Cell:
    scores, score = entry.scores, entry.score
    raw = normalised = None
    if score is not None and rounded(score.value) is not None:
        found = _estimate(entry)
        raw = _number(found)
        if column.chance is not None:
            normalised = _number(normalised_estimate(found, column.chance, column.best))
    return Cell(
        raw=raw,
        normalised=normalised,
        n=0 if score is None else score.n,
        protocol_hash=scores.hashes.get("protocol", "")[:12],
        date=scores.created[:10],
        run=scores.run,
        link=model.samples.get(column.name) or _link(Path(scores.place), output),
        footnote=footnote,
    )


def _number(found: Estimate | None) -> Number | None:
    value = None if found is None else rounded(found.value)
    if found is None or value is None:
        return None
    return Number(value=value, low=rounded(found.low), high=rounded(found.high))


def _link(place: Path, output: Path) -> str | None:
    """From the table to the samples of a run's folder; a baseline has none."""
    if not (place / RUN).is_file():
        return None
    target = place / (REPORT if (place / REPORT).is_file() else SAMPLES)
    return quote(Path(os.path.relpath(target, output)).as_posix())


def _efficiency(definition: Leaderboard, model: Model, filled: Sequence[Filled]) -> dict[str, float | None]:
    entries = [one.counted.get(model.name) for one in filled]
    runs = [entry.scores for entry in entries if entry is not None]
    whole = len(runs) == len(entries)
    return {name: rounded(efficiency(name, runs, model.price)) if whole else None for name in definition.efficiency}


def _trend(path: Path, definition: Leaderboard, filled: Sequence[Filled]) -> tuple[Series, ...]:
    wanted = definition.trend
    if wanted is None:
        return ()
    if wanted.file is not None:
        return of_file(path.parent / wanted.file)
    members = in_order(definition.models, wanted.family or "")
    return tuple(
        Series(
            title=f"{one.column.name} ({one.metric})",
            what=f"{one.metric}, with its 95 % interval",
            points=tuple(_point(model.name, _estimates(one)) for model in members),
        )
        for one in filled
    )


def _point(name: str, estimates: Mapping[str, Estimate]) -> Point:
    found = _number(estimates.get(name))
    if found is None:
        return Point(checkpoint=name, value=None)
    return Point(checkpoint=name, value=found.value, low=found.low, high=found.high)
