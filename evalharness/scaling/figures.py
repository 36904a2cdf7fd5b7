"""The pictures of scaling fits, each with its numbers in a table below."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from evalharness.pages.line_chart import Level, Line, Point, line_chart, wide
from evalharness.report.tables import number, shown, table, text
from evalharness.scaling.allocation import Allocation, OptimumPath, optimum_path
from evalharness.scaling.analysis import Analysis, FormResult
from evalharness.scaling.bootstrap import interval
from evalharness.scaling.envelope import compute_curve
from evalharness.scaling.forms import JointForm
from evalharness.scaling.isoflop import budgets_of, parabola
from evalharness.scaling.points import ScalingPoint
from evalharness.scaling.task_curves import MetricCurve, TaskCurves

PLACES = 40
"""Of a curve that a form draws."""
COMPUTE = "operations"


def figures(analysis: Analysis, confidence: float) -> str:
    """All that there are numbers for."""
    drawn = [
        _losses(analysis, confidence),
        *_shares(analysis, confidence),
        _budgets(analysis),
        _curves(analysis),
        *(_task(task) for task in analysis.tasks),
    ]
    return f'<div class="figures">\n{"".join(drawn)}</div>\n'


def _figure(title: str, charts: Sequence[str], numbers: str) -> str:
    if not any(charts):
        return ""
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>\n{''.join(charts)}"
        f"<details><summary>The numbers</summary>{numbers}</details></figure>\n"
    )


# --------------------------------------------------------------------------- losses and shares


def _losses(analysis: Analysis, confidence: float) -> str:
    """Each run, and the least loss for each budget by the forms that tell it."""
    lines = [Line("runs", [Point(run.compute, run.loss) for run in _by_compute(analysis.fitted)], 5, "points")]
    if analysis.held_out:
        points = [Point(run.compute, run.loss) for run in analysis.held_out]
        lines.append(Line("runs held out", points, 1, "points"))
    budgets = _grid(analysis)
    for look, result in enumerate(_joint(analysis)):
        if paths := _paths(result, budgets, analysis.factor):
            own, drawn = paths
            points = _banded(budgets, own.log_loss_SC, drawn.log_loss_SC, confidence)
            lines.append(Line(f"{result.form.name}, best use of a budget", points, 2 * look, "curve"))
    title = "Loss over operations"
    rows = [
        [
            text(run.name),
            number(run.parameters, ",.0f"),
            number(run.tokens, ",.0f"),
            number(run.compute),
            number(run.loss),
        ]
        for run in (*analysis.fitted, *analysis.held_out)
    ]
    chart = line_chart(lines, title=title, x_title=COMPUTE, logarithmic=True, logarithmic_x=True)
    return _figure(title, [chart], table("Runs", ("run", "parameters", "tokens", COMPUTE, "loss"), rows))


def _shares(analysis: Analysis, confidence: float) -> Iterator[str]:
    """How many parameters and tokens a budget is best spent on, by each form and approach."""
    budgets = _grid(analysis)
    for title, place in (("Best number of parameters", 0), ("Best number of tokens", 1)):
        lines = []
        for look, result in enumerate(_joint(analysis)):
            if paths := _paths(result, budgets, analysis.factor):
                own, drawn = paths
                values = (own.log_parameters_SC, own.log_tokens_SC)[place]
                draws = (drawn.log_parameters_SC, drawn.log_tokens_SC)[place]
                lines.append(Line(result.form.name, _banded(budgets, values, draws, confidence), look))
        for look, (name, found) in enumerate((("approach 1", analysis.envelope), ("approach 2", analysis.isoflop)), 2):
            if found.allocation is not None:
                lines.append(Line(name, _through(found.allocation, budgets, place), look))
        measured = [
            Point(one.compute, (one.parameters, one.compute / analysis.factor / one.parameters)[place])
            for one in analysis.isoflop.optima
        ]
        if measured:
            lines.append(Line("lowest points of the budgets", measured, 5, "points"))
        chart = line_chart(lines, title=title, x_title=COMPUTE, logarithmic=True, logarithmic_x=True)
        yield _figure(f"{title} for a budget of operations", [chart], _numbers(title, lines))


def _through(found: Allocation, budgets: Sequence[float], place: int) -> list[Point]:
    """A power law by its exponent and one of its points."""
    exponent = (found.parameters_exponent, found.tokens_exponent)[place].value
    known = found.optima[0]
    value = (known.parameters, known.tokens)[place].value
    return [Point(budget, value * (budget / known.compute) ** exponent) for budget in budgets]


def _paths(result: FormResult, budgets: list[float], factor: float) -> tuple[OptimumPath, OptimumPath] | None:
    form = result.form
    if result.allocation is None or not isinstance(form, JointForm):
        return None
    own = optimum_path(result.fitted, form, result.fitted.theta_P, budgets, factor)
    return own, optimum_path(result.fitted, form, result.draws_BP, budgets, factor)


def _banded(
    budgets: Sequence[float], log_values: np.typing.NDArray[np.float64], draws: np.typing.NDArray[np.float64],
    confidence: float,
) -> list[Point]:  # fmt: skip
    with np.errstate(over="ignore"):
        found = [
            interval(math.exp(value), np.exp(draws[:, place]), confidence) for place, value in enumerate(log_values[0])
        ]
    return [
        Point(budget, *(one if one.high is None or math.isfinite(one.high) else (one.value,)))
        for budget, one in zip(budgets, found, strict=True)
    ]


def _joint(analysis: Analysis) -> list[FormResult]:
    return [result for result in analysis.forms if isinstance(result.form, JointForm)]


def _grid(analysis: Analysis) -> list[float]:
    """From the least budget to the greatest that something is said of."""
    told = [run.compute for run in (*analysis.fitted, *analysis.held_out)]
    told += [one.compute for result in _joint(analysis) if result.allocation for one in result.allocation.optima]
    return [float(value) for value in np.geomspace(min(told), max(told), PLACES)]


def _by_compute(points: Sequence[ScalingPoint]) -> list[ScalingPoint]:
    return sorted(points, key=lambda point: point.compute)


# --------------------------------------------------------------------------- approaches 1 and 2


def _budgets(analysis: Analysis) -> str:
    """Losses over parameters at each budget, with the parabola through them."""
    lines = []
    for look, group in enumerate(budgets_of(analysis.fitted)):
        found = parabola(group)
        name = f"{found.compute:.2g} operations"
        sizes = [float(size) for size in np.geomspace(*found.sizes, PLACES)]
        lines.append(Line(f"{name}, parabola", [Point(size, found.loss(size)) for size in sizes], look))
        ordered = sorted(group, key=lambda point: point.parameters)
        lines.append(Line(name, [Point(run.parameters, run.loss) for run in ordered], look, "points"))
    title = "Loss over parameters at equal operations"
    chart = line_chart(lines, title=title, x_title="parameters", logarithmic_x=True)
    points = [line for line in lines if line.kind == "points"]
    return _figure(title, [chart], _numbers(title, points, "parameters"))


def _curves(analysis: Analysis) -> str:
    """The loss as each run trained; a size has one look."""
    sizes = sorted({run.parameters for run in analysis.fitted})
    lines = [
        Line(run.name, [Point(*place) for place in curve], sizes.index(run.parameters))
        for run in _by_compute(analysis.fitted)
        if len(curve := compute_curve(run)) > 1
    ]
    title = "Training loss over operations"
    chart = line_chart(lines, title=title, x_title=COMPUTE, logarithmic=True, logarithmic_x=True)
    rows = [[text(line.name), number(line.points[-1].x), number(line.points[-1].y)] for line in lines]
    return _figure(title, [chart], table(title, ("run", f"{COMPUTE} at the end", "training loss"), rows))


# --------------------------------------------------------------------------- tasks


def _task(task: TaskCurves) -> str:
    """A task under every metric, one chart each with the same axis of operations."""
    xs = [point.compute for curve in task.curves for point, _ in curve.runs]
    charts = [_metric(task.task, curve, xs) for curve in task.curves]
    rows = [
        [text(point.name), text(curve.metric), number(point.compute), number(score.value), number(score.samples, ",d")]
        for curve in task.curves
        for point, score in curve.runs
    ]
    numbers = table(task.task, ("run", "metric", COMPUTE, "score", "samples"), rows)
    return _figure(f"{task.task}: the same answers under each metric", charts, numbers)


def _metric(task: str, curve: MetricCurve, xs: Sequence[float]) -> str:
    points = [Point(point.compute, score.value, score.low, score.high) for point, score in curve.runs]
    chances = {score.chance for _, score in curve.runs if score.chance is not None}
    told = {"sharp": "right or wrong", "smooth": "continuous", "other": ""}[curve.kind]
    name = f"{curve.metric} ({told})" if told else curve.metric
    chart = line_chart(
        [Line(name, points, {"sharp": 1, "smooth": 0, "other": 2}[curve.kind], "points")],
        title=f"{task}, {name}",
        x_title=COMPUTE,
        levels=[Level(chance, f"chance {chance:.3g}") for chance in sorted(chances)],
        logarithmic=curve.kind == "smooth" and wide(point.y for point in points),
        logarithmic_x=True,
        holds_x=xs,
    )
    emergence = "" if curve.emergence is None else f"; emergence score {shown(curve.emergence, '.3g')}"
    notes = "".join(f"<p>{escape(note)}</p>" for note in curve.notes)
    return f"<p>{escape(name + emergence)}</p>\n{chart}{notes}"


def _numbers(caption: str, lines: Sequence[Line], x_title: str = COMPUTE) -> str:
    rows = [
        [text(line.name), number(point.x), number(point.y), number(point.low), number(point.high)]
        for line in lines
        for point in line.points
    ]
    return table(caption, ("line", x_title, "value", "low", "high"), rows)
