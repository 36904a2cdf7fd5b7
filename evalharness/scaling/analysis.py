"""Everything that is asked of a set of trainings: each form fitted, what it recommends, what it predicts, how well."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evalharness.errors import DataError, UsageError
from evalharness.scaling.allocation import Allocation, allocation
from evalharness.scaling.bootstrap import Interval, Resampling, interval, resampled
from evalharness.scaling.envelope import envelope
from evalharness.scaling.forms import Form, JointForm
from evalharness.scaling.isoflop import isoflop
from evalharness.scaling.kaplan import PowerLaw
from evalharness.scaling.known import FORMS
from evalharness.scaling.optima import Measured
from evalharness.scaling.points import FORWARD_AND_BACKWARD, Floats, Logs, ScalingPoint, frontier
from evalharness.scaling.robust import Fit, fit
from evalharness.scaling.task_curves import TaskCurves, task_curves

NEVER_APART = 0.98
"""Correlation of log N and log D above which what parameters do and what tokens do are hardly told apart."""
TIMES_LARGEST = 10
"""Without a target, what is recommended is told for this many times the largest budget, beside that one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How points are fitted."""

    forms: tuple[str, ...] = ()
    """All that the runs allow unless given."""
    hold_out: int = 0
    """Runs with the most operations that are predicted, not fitted."""
    targets: tuple[float, ...] = ()
    """Operations that a recommendation is wanted for."""
    resampling: Resampling = field(default_factory=Resampling)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of a run that was not fitted."""

    point: ScalingPoint
    loss: Interval
    """Of one such run: the fit's interval and the scatter of runs around the fit."""
    times_largest: float
    """Its operations over the most of a fitted run."""

    @property
    def error(self) -> float:
        """Of the predicted loss, as a share of the measured one."""
        return self.loss.value / self.point.loss - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FormResult:
    """One form."""

    form: Form
    runs: tuple[ScalingPoint, ...]
    """Those that were fitted."""
    fitted: Fit
    draws_BP: Floats
    """Parameters of the resamples."""
    parameters: Mapping[str, Interval]
    scatter: float
    """Root of the mean squared error of log L: about the relative error of a run."""
    allocation: Allocation | None
    predictions: tuple[Prediction, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All of it."""

    fitted: tuple[ScalingPoint, ...]
    held_out: tuple[ScalingPoint, ...]
    factor: float
    """k of ``C = k N D``."""
    forms: tuple[FormResult, ...]
    left_out: Mapping[str, str]
    """By form, why it was not fitted."""
    envelope: Measured
    isoflop: Measured
    tasks: tuple[TaskCurves, ...]
    notes: tuple[str, ...]


def analyse(points: Sequence[ScalingPoint], options: FitOptions) -> Analysis:
    """Fit what can be fitted.

    Raises:
        UsageError: more runs are held out than there are.
        DataError: no form, or not the wanted one, can be fitted to so few or so equal runs.
    """
    ordered = sorted(points, key=lambda point: (point.compute, point.name))
    if options.hold_out >= len(ordered):
        raise UsageError(f"--hold-out {options.hold_out}: there are {len(ordered)} runs; leave some to fit.")
    kept, held_out = ordered[: len(ordered) - options.hold_out], ordered[len(ordered) - options.hold_out :]
    factor = _factor(ordered)
    budgets = sorted({*(options.targets or (TIMES_LARGEST * kept[-1].compute,)), kept[-1].compute})
    wanted = [FORMS[name] for name in options.forms] or list(FORMS.values())
    left_out = {form.name: reason for form in wanted if (reason := unfit(form, _runs_for(form, kept)))}
    if left_out and (options.forms or len(left_out) == len(wanted)):
        raise DataError(next(iter(left_out.values())))
    results = [
        _result(form, _runs_for(form, kept), held_out, budgets, factor, options)
        for form in wanted
        if form.name not in left_out
    ]
    return Analysis(
        fitted=tuple(kept),
        held_out=tuple(held_out),
        factor=factor,
        forms=tuple(results),
        left_out=left_out,
        envelope=envelope(kept, budgets, factor, options.resampling),
        isoflop=isoflop(kept, budgets, factor, options.resampling),
        tasks=tuple(task_curves(ordered)),
        notes=tuple(_notes(kept)),
    )


def unfit(form: Form, runs: Sequence[ScalingPoint]) -> str | None:
    """Why a form cannot be fitted to these runs, as a sentence."""
    what = "best runs" if isinstance(form, PowerLaw) else "runs"
    fewest = len(form.symbols) + 1
    if len(runs) < fewest:
        parameters = f"the {len(form.symbols)} parameters of {form.formula}"
        return f"{len(runs)} {what} do not determine {parameters} ({form.name}): {fewest} or more are needed."
    for size, wanted in form.different:
        found = len({getattr(run, size) for run in runs})
        if found < wanted:
            return (
                f"the {what} have {found} different numbers of {_SAID[size]}; {form.formula} ({form.name}) needs "
                f"{wanted} or more."
            )
    return None


_SAID = {"parameters": "parameters", "tokens": "tokens", "compute": "operations"}


def _runs_for(form: Form, points: Sequence[ScalingPoint]) -> list[ScalingPoint]:
    """All of them; for a law in one size those that no run reaches with as much or less of it: the others are held back
    by something else."""
    if not isinstance(form, PowerLaw):
        return list(points)
    best = frontier([getattr(point, form.of) for point in points], [point.loss for point in points])
    return [points[place] for place in best]


def _factor(points: Sequence[ScalingPoint]) -> float:
    """k of ``C = k N D``: the geometric mean over the runs, 6 where C is 6 N D."""
    factors = [point.compute / (point.parameters * point.tokens) for point in points]
    if all(math.isclose(factor, FORWARD_AND_BACKWARD, rel_tol=1e-9) for factor in factors):
        return FORWARD_AND_BACKWARD
    return math.exp(np.mean(np.log(factors)))


def _result(
    form: Form,
    runs: list[ScalingPoint],
    held_out: Sequence[ScalingPoint],
    budgets: list[float],
    factor: float,
    options: FitOptions,
) -> FormResult:
    logs = Logs.of(runs)
    fitted = fit(form, logs)
    draws_BP = resampled(fitted, logs, options.resampling)
    published = [form.published(theta, fitted.center) for theta in draws_BP]
    parameters = {
        symbol: interval(value, np.array([one[symbol] for one in published]), options.resampling.confidence)
        for symbol, value in fitted.parameters.items()
    }
    shared = (
        allocation(fitted, form, draws_BP, budgets, factor, options.resampling.confidence)
        if isinstance(form, JointForm)
        else None
    )
    errors_R = fitted.errors(logs)
    notes = form.at_bound(fitted.theta_P, logs.loss_R)
    if options.resampling.rounds and not len(draws_BP):
        notes.append(f"no intervals: of {len(runs)} runs none can be left out.")
    return FormResult(
        form=form,
        runs=tuple(runs),
        fitted=fitted,
        draws_BP=draws_BP,
        parameters=parameters,
        scatter=float(np.sqrt(np.mean(errors_R**2))),
        allocation=shared,
        predictions=tuple(_predictions(fitted, draws_BP, errors_R, held_out, runs, options)),
        notes=tuple(notes),
    )


def _predictions(
    fitted: Fit,
    draws_BP: Floats,
    errors_R: Floats,
    held_out: Sequence[ScalingPoint],
    runs: Sequence[ScalingPoint],
    options: FitOptions,
) -> list[Prediction]:
    """What each resample says of a run, with the error of a run that is drawn; errors of fitted runs are smaller than
    those of others, by the parameters that they had a part in."""
    if not held_out:
        return []
    logs = Logs.of(held_out)
    wider = math.sqrt(len(errors_R) / max(1, len(errors_R) - len(fitted.theta_P)))
    generator = np.random.default_rng(options.resampling.seed)
    drawn_BR = fitted.log_loss(logs, draws_BP)
    drawn_BR = drawn_BR - wider * generator.choice(errors_R, size=drawn_BR.shape)
    largest = max(run.compute for run in runs)
    return [
        Prediction(
            point,
            interval(float(np.exp(value)), np.exp(drawn_BR[:, place]), options.resampling.confidence),
            point.compute / largest,
        )
        for place, (point, value) in enumerate(zip(held_out, fitted.log_loss(logs), strict=True))
    ]


def _notes(points: Sequence[ScalingPoint]) -> list[str]:
    logs = Logs.of(points)
    if len(points) < 3 or np.ptp(logs.parameters_R) == 0 or np.ptp(logs.tokens_R) == 0:
        return []
    correlation = float(np.corrcoef(logs.parameters_R, logs.tokens_R)[0, 1])
    if abs(correlation) < NEVER_APART:
        return []
    return [
        f"parameters and tokens of the runs go together (correlation of their logarithms {correlation:.3f}): what each "
        "of them does is hardly told apart, and exponents of N and D and the best shares mean little; predictions "
        "along the same line do not suffer. Train sizes with several numbers of tokens."
    ]
