"""Averages over columns, and the ranks that they support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from evalharness.leaderboards.board import ColumnTable
from evalharness.leaderboards.formulas import normalised_estimate, win_rates
from evalharness.leaderboards.gaps import Gap, adjusted, average_gap, dominated, separated
from evalharness.leaderboards.options import Leaderboard
from evalharness.stats.averages import macro_average
from evalharness.stats.intervals import Estimate
from evalharness.stats.ranks import Rank, ranks_of

Estimates = Mapping[str, Mapping[str, Estimate]]
"""By column and model, raw, of the cells that count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The average of every model that has all its parts."""

    averages: Mapping[str, Estimate]
    ranks: Mapping[str, Rank]
    higher_is_better: bool
    values: Mapping[str, Mapping[str, float]]
    """By column and model, raw: what rows are ordered by where that is a column."""


def overall(definition: Leaderboard, tables: Sequence[ColumnTable], estimates: Estimates) -> Standing:
    """The average over the averaged columns. One that lacks a part is none."""
    values = {column: {name: found.value for name, found in models.items()} for column, models in estimates.items()}
    averaged = [table for table in tables if table.column.averaged]
    if definition.average == "none":
        return Standing(averages={}, ranks={}, higher_is_better=True, values=values)
    if definition.average == "win_rate":
        rates = _win_rates(definition, averaged, values)
        better = dominated(rates, [table.gaps for table in averaged], definition.alpha)
        averages = {name: Estimate(value=rate, n=len(averaged)) for name, rate in rates.items()}
        return Standing(
            averages=averages,
            ranks=ranks_of({name: better[name] for name in sorted(rates)}),
            higher_is_better=True,
            values=values,
        )
    higher = definition.normalisation == "chance" or all(table.higher_is_better for table in averaged)
    scaled = {table.column.name: _scaled(definition, table, estimates[table.column.name]) for table in averaged}
    averages = _macro(scaled, list(scaled), [model.name for model in definition.models])
    pairs = _average_gaps(definition, averaged, scaled, sorted(averages), higher_is_better=higher)
    ranks = ranks_of(separated(sorted(averages), pairs, definition.alpha))
    return Standing(averages=averages, ranks=ranks, higher_is_better=higher, values=values)


def group_averages(
    definition: Leaderboard, tables: Sequence[ColumnTable], estimates: Estimates
) -> dict[str, dict[str, Estimate]]:
    """The macro average of every ability's averaged columns, by ability and model."""
    names = [model.name for model in definition.models]
    by_name = {table.column.name: table for table in tables if table.column.averaged}
    found = {}
    for ability, members in definition.abilities.items():
        kept = [by_name[member] for member in members if member in by_name]
        if not kept or (definition.normalisation == "none" and len({table.higher_is_better for table in kept}) == 2):
            continue  # no common direction, so no mean
        scaled = {table.column.name: _scaled(definition, table, estimates[table.column.name]) for table in kept}
        found[ability] = _macro(scaled, list(scaled), names)
    return found


def _scaled(definition: Leaderboard, table: ColumnTable, found: Mapping[str, Estimate]) -> Mapping[str, Estimate]:
    chance = table.column.chance
    if definition.normalisation == "none" or chance is None:
        return found
    return {name: normalised_estimate(one, chance, table.column.best) for name, one in found.items()}


def _macro(scaled: Estimates, columns: Sequence[str], models: Sequence[str]) -> dict[str, Estimate]:
    whole = [name for name in models if all(name in scaled[column] for column in columns)]
    return {name: macro_average([scaled[column][name] for column in columns]) for name in whole}


def _win_rates(
    definition: Leaderboard, averaged: Sequence[ColumnTable], values: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    columns = [(values[table.column.name], table.higher_is_better) for table in averaged]
    rates = win_rates(columns, [model.name for model in definition.models])
    return {name: rate for name, rate in rates.items() if rate is not None}


def _average_gaps(
    definition: Leaderboard,
    averaged: Sequence[ColumnTable],
    scaled: Estimates,
    models: Sequence[str],
    *,
    higher_is_better: bool,
) -> list[Gap]:
    """All pairs of averages: columns are independent, the samples of one column are paired."""
    errors = [_errors(definition, table) for table in averaged]
    pairs = []
    for names in combinations(models, 2):
        first, second = names
        parts = [
            (scaled[table.column.name][first].value - scaled[table.column.name][second].value, error[names])
            for table, error in zip(averaged, errors, strict=True)
        ]
        pairs.append(average_gap(names, parts, higher_is_better=higher_is_better))
    return adjusted(pairs)


def _errors(definition: Leaderboard, table: ColumnTable) -> dict[tuple[str, str], float | None]:
    """The standard error of each pair's difference, on the scale that is averaged."""
    chance = table.column.chance
    normalised = definition.normalisation == "chance" and chance is not None
    scale = 100 / abs(table.column.best - (chance or 0)) if normalised else 1.0
    return {
        (gap.first, gap.second): None if gap.standard_error is None else scale * gap.standard_error
        for gap in table.gaps
    }
