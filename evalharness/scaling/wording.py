"""An analysis as tables that people read, on a terminal and on a page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from evalharness.scaling.allocation import Allocation
from evalharness.scaling.analysis import Analysis, FormResult
from evalharness.scaling.bootstrap import Interval
from evalharness.scaling.points import FORWARD_AND_BACKWARD
from evalharness.scaling.task_curves import TaskCurves

MOST_ROWS = 40
"""Runs that are listed; the picture's table and JSON have all."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table with what is to be said of it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def tables(analysis: Analysis, confidence: float) -> list[Table]:
    """All that an analysis found, in the order in which it is read."""
    return [
        _runs(analysis),
        _parameters(analysis, confidence),
        *([_predictions(analysis, confidence)] if analysis.held_out else ()),
        *_allocations(analysis, confidence),
        *([_tasks(analysis.tasks)] if analysis.tasks else ()),
    ]


def _runs(analysis: Analysis) -> Table:
    least, most = analysis.fitted[0].compute, analysis.fitted[-1].compute
    said = f"{len(analysis.fitted)} runs are fitted, over {math.log10(most / least):.2f} decades of operations"
    said += f"; held out: {len(analysis.held_out)}." if analysis.held_out else "."
    rows = [
        (run.name, _number(run.parameters), _number(run.tokens), f"{run.compute:.3g}", f"{run.loss:.4f}", told)
        for runs, told in ((analysis.fitted, ""), (analysis.held_out, "held out"))
        for run in runs
    ]
    if len(rows) > MOST_ROWS:
        half = MOST_ROWS // 2
        rows = [*rows[:half], (f"{len(rows) - 2 * half} more", "", "", "", "", ""), *rows[-half:]]
    return Table(
        "Runs", ("run", "parameters", "tokens", "operations", "loss", ""), tuple(rows), (said, *analysis.notes)
    )


def _parameters(analysis: Analysis, confidence: float) -> Table:
    rows: list[tuple[str, ...]] = []
    notes = []
    for result in analysis.forms:
        for symbol, found in result.parameters.items():
            rows.append((result.form.name, symbol, _number(found.value), _bounds(found)))
        notes.append(_quality(result))
        notes += [f"{result.form.name}: {note}" for note in result.notes]
    notes += [f"{name} is not fitted: {reason}" for name, reason in analysis.left_out.items()]
    return Table("Parameters", ("form", "parameter", "value", _percent(confidence)), tuple(rows), tuple(notes))


def _quality(result: FormResult) -> str:
    return (
        f"{result.form.name}: {result.form.formula}, {len(result.runs)} runs, objective {result.fitted.objective:.4g}, "
        f"runs scatter by {result.scatter:.2%} of the loss ({result.form.source})."
    )


def _predictions(analysis: Analysis, confidence: float) -> Table:
    rows = [
        (
            one.point.name,
            f"{one.times_largest:.3g}x",
            result.form.name,
            f"{one.loss.value:.4f}",
            _bounds(one.loss, ".4f"),
            f"{one.point.loss:.4f}",
            f"{one.error:+.2%}",
        )
        for place in range(len(analysis.held_out))
        for result in analysis.forms
        for one in (result.predictions[place],)
    ]
    head = ("run", "of the largest", "form", "predicted", _percent(confidence), "measured", "error")
    return Table("Runs that were held out", head, tuple(rows))


def _allocations(analysis: Analysis, confidence: float) -> Iterator[Table]:
    found: list[tuple[str, Allocation]] = [
        (result.form.name, result.allocation) for result in analysis.forms if result.allocation
    ]
    found += [
        (name, one.allocation)
        for name, one in (("approach 1", analysis.envelope), ("approach 2", analysis.isoflop))
        if one.allocation
    ]
    notes = [
        f"{name}: {told}"
        for name, one in (("approach 1", analysis.envelope), ("approach 2", analysis.isoflop))
        for told in (*([one.reason] if one.reason else ()), *one.notes)
    ]
    rows = [
        (
            name,
            *(
                text
                for one in (own.parameters_exponent, own.tokens_exponent)
                for text in (_number(one.value), _bounds(one))
            ),
        )
        for name, own in found
    ]
    percent = _percent(confidence)
    yield Table("Exponents of the best use", ("by", "N ~ C^a", percent, "D ~ C^b", percent), tuple(rows), tuple(notes))
    spent = [
        (f"{one.compute:.3g}", name, *_pair(one.parameters), *_pair(one.tokens), *_pair(one.loss, ".4f"))
        for name, own in found
        for one in own.optima
    ]
    head = ("operations", "by", "parameters", percent, "tokens", percent, "loss", percent)
    k = "6" if analysis.factor == FORWARD_AND_BACKWARD else f"{analysis.factor:.3g}, the mean of the runs"
    yield Table(
        "Best use of operations", head, tuple(sorted(spent, key=lambda row: float(row[0]))), (f"C = k N D, k = {k}.",)
    )


def _tasks(tasks: tuple[TaskCurves, ...]) -> Table:
    rows = [
        (
            task.task,
            curve.metric,
            {"sharp": "right or wrong", "smooth": "continuous", "other": "not known"}[curve.kind],
            f"{curve.runs[0][1].value:.4g}",
            f"{curve.runs[-1][1].value:.4g}",
            "" if curve.emergence is None else f"{curve.emergence:.3g}",
        )
        for task in tasks
        for curve in task.curves
    ]
    notes = [f"{task.task}, {curve.metric}: {note}" for task in tasks for curve in task.curves for note in curve.notes]
    notes += [
        f"{task.task}: no metric of it is continuous, so a jump cannot be told from a slow rise."
        for task in tasks
        if not any(curve.kind == "smooth" for curve in task.curves)
    ]
    head = ("task", "metric", "kind", "smallest run", "largest run", "emergence score")
    return Table("Tasks over scale", head, tuple(rows), tuple(notes))


def _pair(found: Interval, form: str = "") -> tuple[str, str]:
    if not math.isfinite(found.value):
        return "", ""
    return (format(found.value, form) if form else _number(found.value)), _bounds(found, form)


def _bounds(found: Interval, form: str = "") -> str:
    if found.low is None or found.high is None:
        return ""
    return " to ".join(format(value, form) if form else _number(value) for value in (found.low, found.high))


def _number(value: float) -> str:
    """``0.3478``, ``1,234``, ``73.82M``, ``1.2e+13``."""
    for size, unit in ((1e12, ""), (1e9, "B"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.4g}{unit}" if unit else f"{value:.4g}"
    return f"{value:,.0f}" if value >= 1e4 else f"{value:.4g}"


def _percent(confidence: float) -> str:
    return f"{100 * confidence:g} %"
