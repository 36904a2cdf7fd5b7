"""An analysis as values that JSON knows; what is no number, or infinite, is null."""

from __future__ import annotations

import math
from typing import Any

from evalharness.scaling.allocation import Allocation
from evalharness.scaling.analysis import Analysis, FormResult
from evalharness.scaling.bootstrap import Interval
from evalharness.scaling.optima import Measured
from evalharness.scaling.points import ScalingPoint
from evalharness.scaling.task_curves import TaskCurves

Values = dict[str, Any]


def as_json(analysis: Analysis) -> Values:
    """Everything that the tables say."""
    return {
        "runs": [_point(point, held_out=False) for point in analysis.fitted]
        + [_point(point, held_out=True) for point in analysis.held_out],
        "operations_per_parameter_and_token": analysis.factor,
        "forms": {result.form.name: _form(result) for result in analysis.forms},
        "left_out": dict(analysis.left_out),
        "approach_1": _measured(analysis.envelope, points=False),
        "approach_2": _measured(analysis.isoflop, points=True),
        "tasks": {task.task: _task(task) for task in analysis.tasks},
        "notes": list(analysis.notes),
    }


def _point(point: ScalingPoint, *, held_out: bool) -> Values:
    sizes = {"parameters": point.parameters, "tokens": point.tokens, "compute": point.compute}
    return {"name": point.name, **sizes, "loss": point.loss, "held_out": held_out}


def _form(result: FormResult) -> Values:
    return {
        "formula": result.form.formula,
        "source": result.form.source,
        "runs": [run.name for run in result.runs],
        "parameters": {symbol: _interval(value) for symbol, value in result.parameters.items()},
        "objective": result.fitted.objective,
        "scatter": result.scatter,
        "resamples": len(result.draws_BP),
        "allocation": _allocation(result.allocation),
        "predictions": [
            {
                "name": one.point.name,
                "times_largest": one.times_largest,
                "loss": _interval(one.loss),
                "measured": one.point.loss,
                "error": one.error,
            }
            for one in result.predictions
        ],
        "notes": list(result.notes),
    }


def _allocation(found: Allocation | None) -> Values | None:
    if found is None:
        return None
    return {
        "parameters_exponent": _interval(found.parameters_exponent),
        "tokens_exponent": _interval(found.tokens_exponent),
        "optima": [
            {
                "compute": one.compute,
                "parameters": _interval(one.parameters),
                "tokens": _interval(one.tokens),
                "loss": _interval(one.loss) if math.isfinite(one.loss.value) else None,
            }
            for one in found.optima
        ],
    }


def _measured(found: Measured, *, points: bool) -> Values:
    told: Values = {"allocation": _allocation(found.allocation), "reason": found.reason, "notes": list(found.notes)}
    if points:
        told["optima"] = [
            {"compute": one.compute, "parameters": one.parameters, "loss": one.loss} for one in found.optima
        ]
    return told


def _task(task: TaskCurves) -> Values:
    return {
        curve.metric: {
            "kind": curve.kind,
            "emergence": _finite(curve.emergence),
            "notes": list(curve.notes),
            "scores": [
                {"run": point.name, "value": score.value, "low": score.low, "high": score.high, "n": score.samples}
                for point, score in curve.runs
            ],
        }
        for curve in task.curves
    }


def _interval(found: Interval) -> Values:
    return {"value": _finite(found.value), "low": _finite(found.low), "high": _finite(found.high)}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
