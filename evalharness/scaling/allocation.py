"""The best use of a budget of operations: how many parameters, how many tokens, and the loss that this reaches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evalharness.scaling.bootstrap import Interval, interval
from evalharness.scaling.forms import JointForm, Sizes
from evalharness.scaling.points import Floats
from evalharness.scaling.robust import Fit


@dataclass(frozen=True, slots=True)
class Optimum:
    """What a budget is best spent on, by a fit."""

    compute: float
    parameters: Interval
    tokens: Interval
    loss: Interval


@dataclass(frozen=True, slots=True)
class Allocation:
    """``N* ∝ C^a``, ``D* ∝ C^b`` with ``a + b = 1``, and at some budgets what they are."""

    parameters_exponent: Interval
    tokens_exponent: Interval
    optima: tuple[Optimum, ...]


def allocation(
    fitted: Fit, form: JointForm, draws_BP: Floats, budgets: list[float], factor: float, confidence: float
) -> Allocation | None:
    """Under ``C = factor N D``; None where the fit has no optimum, because one of its exponents is 0."""
    own = optimum_path(fitted, form, fitted.theta_P, budgets, factor)
    if not np.isfinite(own.exponent_S).all() or not np.isfinite(own.log_parameters_SC).all():
        return None
    drawn = optimum_path(fitted, form, draws_BP, budgets, factor)

    def at(values_C: Floats, draws_BC: Floats, place: int) -> Interval:
        return interval(float(np.exp(values_C[place])), np.exp(draws_BC[:, place]), confidence)

    with np.errstate(over="ignore"):
        optima = tuple(
            Optimum(
                budget,
                at(own.log_parameters_SC[0], drawn.log_parameters_SC, place),
                at(own.log_tokens_SC[0], drawn.log_tokens_SC, place),
                at(own.log_loss_SC[0], drawn.log_loss_SC, place),
            )
            for place, budget in enumerate(budgets)
        )
    exponent = float(own.exponent_S[0])
    return Allocation(
        interval(exponent, drawn.exponent_S, confidence),
        interval(1 - exponent, 1 - drawn.exponent_S, confidence),
        optima,
    )


@dataclass(frozen=True, slots=True)
class OptimumPath:
    """Optima over budgets, C of them, for S sets of parameters."""

    exponent_S: Floats
    log_parameters_SC: Floats
    log_tokens_SC: Floats
    log_loss_SC: Floats


def optimum_path(fitted: Fit, form: JointForm, theta_SP: Floats, budgets: list[float], factor: float) -> OptimumPath:
    """Of one set of parameters or of several."""
    theta, center = np.atleast_2d(theta_SP), fitted.center
    start_S, exponent_S = form.share(theta, center)
    products_C = np.array([math.log(budget / factor) for budget in budgets])
    log_parameters = start_S[:, None] + exponent_S[:, None] * products_C
    log_tokens = products_C - log_parameters
    log_compute = np.broadcast_to(np.log(budgets) - center.compute, log_parameters.shape)
    with np.errstate(invalid="ignore"):  # no optimum where an exponent is 0
        losses = [
            form.log_loss(one, Sizes(parameters - center.parameters, tokens - center.tokens, compute))
            for one, parameters, tokens, compute in zip(theta, log_parameters, log_tokens, log_compute, strict=True)
        ]
    return OptimumPath(exponent_S, log_parameters, log_tokens, np.array(losses).reshape(log_parameters.shape))
