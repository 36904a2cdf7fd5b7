"""A suite in its published layout: abilities, their columns, and what each model has there or why there is nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from evalharness.records.folder import Run
from evalharness.records.run import ResultsRecord, RunRecord, ScoreRecord, changes_of
from evalharness.run.plan import LeftOut
from evalharness.run.suites import SuiteAverage, Z, average_of
from evalharness.tasks.definition import ColumnOptions, SuiteDefinition
from evalharness.tasks.task import DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteCell:
    """What a model has in a column: a score, or why there is none."""

    metric: str = ""
    score: ScoreRecord | None = None
    of: int | None = None
    """Samples of the whole benchmark; None where unknown."""
    changes: tuple[str, ...] = ()
    """What the user changed of the protocol."""
    run: str | None = None
    """Its folder."""
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRow:
    """A column of the layout, with a cell for each model."""

    ability: str
    label: str
    task: str
    """Empty where there is none."""
    protocol: str
    changes: tuple[str, ...]
    """What the layout changes of the protocol."""
    note: str
    cells: tuple[SuiteCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteTable:
    """The layout filled in."""

    suite: str
    description: str
    models: tuple[str, ...]
    rows: tuple[SuiteRow, ...]
    averages: tuple[tuple[str, SuiteAverage], ...] = ()
    """By ability, which is empty for that of the whole suite; one for each model."""


Why = Callable[[ColumnOptions], str | None]
"""Why a column has no run, where that is known."""


def suite_table(suite: SuiteDefinition, runs: Sequence[Run], why: Why) -> SuiteTable:
    """The layout of a suite, filled in from runs: of each model the newest finished one of a column's protocol.

    Args:
        suite: one with a layout.
        why: asked for the reason where a model has no run of a column.
    """
    tasks = {column.task for _, column in suite.columns}
    models: dict[tuple[str, str], list[tuple[Run, RunRecord]]] = {}
    for run, record in [(run, run.record) for run in runs]:
        if record.task in tasks:
            model = str(record.model["name"]), str(record.model.get("fingerprint"))
            models.setdefault(model, []).append((run, record))
    rows = tuple(
        SuiteRow(
            ability=ability,
            label=column.label,
            task=column.task or "",
            protocol="" if column.task is None else column.protocol or DEFAULT,
            changes=column.changes,
            note=column.note,
            cells=tuple(_cell(column, own, why) for own in models.values()),
        )
        for ability, column in suite.columns
    )
    every = [name for name, _ in models]
    names = tuple(f"{name} ({mark[:8]})" if every.count(name) > 1 else name for name, mark in models)
    return SuiteTable(
        suite=suite.suite,
        description=suite.description,
        models=names,
        rows=rows,
        averages=tuple(_averages(suite, names, rows)),
    )


def reasons(left_out: Sequence[LeftOut]) -> Why:
    """Why columns were left out of a request, for `suite_table`."""
    told = [({"task": item.wanted.name, **item.wanted.options}, item.why) for item in left_out]
    return lambda column: next((why for entry, why in told if entry == column.entry), None)


def _cell(column: ColumnOptions, runs: Sequence[tuple[Run, RunRecord]], why: Why) -> SuiteCell:
    if column.task is None:
        return SuiteCell(why=column.empty)
    fitting = [(run, record) for run, record in runs if _fits(record, column)]
    finished = [pair for pair in fitting if pair[1].state == "finished"]
    if not finished:
        unfinished = f"its run is {fitting[-1][1].state}" if fitting else None
        return SuiteCell(why=unfinished or why(column) or "no run")
    # One that asks in another way, such as a perturbed variant, counts where there is no other.
    run, record = max(finished, key=lambda pair: (not _changes(pair[1], column), pair[1].created))
    results = run.results
    metric = column.metric or (next(iter(results.scores), "") if results else "")
    score = _score(results, metric, column) if results else None
    return SuiteCell(
        metric=metric,
        score=score,
        of=results.of if results else None,
        changes=_changes(record, column),
        run=str(run.path),
        why=None if score is not None and score.value is not None else f"its run has no score '{metric}'",
    )


def _fits(record: RunRecord, column: ColumnOptions) -> bool:
    said = {key: getattr(column, key) for key in ("shots", "method") if getattr(column, key) is not None}
    return (
        record.task == column.task
        and record.protocol == (column.protocol or DEFAULT)
        and all(record.options.get(key) == value for key, value in said.items())
    )


def _changes(record: RunRecord, column: ColumnOptions) -> tuple[str, ...]:
    """What the user changed, beside what the column says."""
    return tuple(change for change in changes_of(record) if change not in column.changes)


def _score(results: ResultsRecord, metric: str, column: ColumnOptions) -> ScoreRecord | None:
    if column.over == "samples":
        return results.scores.get(metric)
    parts = [table[metric] for table in results.subsets.values() if metric in table]
    values = [part.value for part in parts if part.value is not None]
    if not parts or len(values) < len(parts):
        return None
    value, errors = fmean(values), [part.standard_error for part in parts]
    known = [error for error in errors if error is not None]
    half = Z * math.hypot(*known) / len(parts) if len(known) == len(parts) else None
    return parts[0].model_copy(
        update={
            "value": value,
            "low": None if half is None else value - half,
            "high": None if half is None else value + half,
            "standard_error": None if half is None else half / Z,
            "interval": "none" if half is None else "normal",
            "n": sum(part.n for part in parts),
        }
    )


def _averages(
    suite: SuiteDefinition, models: Sequence[str], rows: Sequence[SuiteRow]
) -> list[tuple[str, SuiteAverage]]:
    """Each part counts alike; a part without a score empties the average that it belongs to."""
    parts: dict[str, list[SuiteRow]] = {}
    for (ability, column), row in zip(suite.columns, rows, strict=True):
        if column.average and suite.averages != "none":
            parts.setdefault(ability if suite.averages == "abilities" else "", []).append(row)
    return [
        (ability, average_of(suite.suite, model, _scores(members, place)))
        for ability, members in parts.items()
        if len(members) > 1
        for place, model in enumerate(models)
    ]


def _scores(rows: Sequence[SuiteRow], model: int) -> Mapping[str, ScoreRecord | None]:
    return {f"{row.label} ({row.protocol or 'none'})": row.cells[model].score for row in rows}
