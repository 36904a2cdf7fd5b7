"""The robust fit of a form: Huber's loss of errors in the logarithm of the loss, by L-BFGS from many starts.

``Σ_r Huber_δ(log L̂(N_r, D_r) - log L_r)`` with δ = 1e-3 (Hoffmann et al. 2022, arXiv 2203.15556, 3.3). It is a sum, not
a mean: with a mean and the usual tolerances L-BFGS stops far from the minimum (Besiroglu et al. 2024, arXiv
2404.10102). Here it is divided by δ² besides, and the tolerances are tight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalharness.scaling.forms import Center, Form, Sizes
from evalharness.scaling.points import Floats, Logs

DELTA = 1e-3
FOLLOWED, FINISHED = 24, 3
"""Of all starts, so many with the least objectives are followed, and so many of these to their minimum."""
COARSE = {"maxiter": 100, "maxcor": 20, "ftol": 1e-7, "gtol": 1e-4}
FINE = {"maxiter": 1_000, "maxcor": 20, "ftol": 1e-10, "gtol": 1e-4}
FLATTEST = 1e-12
"""Curvatures below this share of the greatest count as this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A form with the parameters that fit runs best."""

    form: Form
    theta_P: Floats
    center: Center
    objective: float
    """Σ Huber, in squared nats."""

    @property
    def parameters(self) -> dict[str, float]:
        """As they are published."""
        return self.form.published(self.theta_P, self.center)

    def log_loss(self, logs: Logs, theta_SP: Floats | None = None) -> Floats:
        """Of points of these sizes, [R], or [S, R] with other parameters."""
        theta = self.theta_P if theta_SP is None else theta_SP
        return self.form.log_loss(theta, self.center.sizes(logs))

    def errors(self, logs: Logs) -> Floats:
        """``log L̂ - log L`` of each run."""
        return self.log_loss(logs) - logs.loss_R


def fit(form: Form, logs: Logs, *, followed: int = FOLLOWED, delta: float = DELTA) -> Fit:
    """The best of many starts."""
    center = Center.of(logs)
    sizes = center.sizes(logs)
    low, high = np.array(form.bounds(logs.loss_R)).T
    starts = np.clip(form.starts(sizes, logs.loss_R, center), low, high)
    at_start = huber(form.log_loss(starts, sizes) - logs.loss_R, delta).sum(axis=-1)
    best = starts[np.argsort(at_start, kind="stable")[:followed]]
    objective = _Objective(form, sizes, logs.loss_R, delta)
    near = sorted((objective.descend(start, **COARSE) for start in best), key=lambda one: one[0])
    ends = [objective.minimum(theta) for _, theta in near[:FINISHED]]
    value, theta = min(ends, key=lambda one: one[0])
    return Fit(form=form, theta_P=theta, center=center, objective=value * delta**2)


def minimum(form: Form, sizes: Sizes, log_loss_R: Floats, start_P: Floats, delta: float = DELTA) -> Floats:
    """Where the objective is least next to a start that is near."""
    return _Objective(form, sizes, log_loss_R, delta).minimum(start_P)[1]


class _Objective:
    """``Σ Huber(log L̂ - log L) / δ²``."""

    def __init__(self, form: Form, sizes: Sizes, log_loss_R: Floats, delta: float) -> None:
        self.form, self.sizes, self.log_loss_R, self.delta = form, sizes, log_loss_R, delta
        self.bounds = form.bounds(log_loss_R)

    def __call__(self, theta_P: Floats) -> tuple[float, Floats]:
        """With its gradient; infinite and flat where the form has no value."""
        with np.errstate(all="ignore"):
            errors_R = (self.form.log_loss(theta_P, self.sizes) - self.log_loss_R) / self.delta
            value = float(huber(errors_R, 1.0).sum())
            slope_P = np.clip(errors_R, -1.0, 1.0) @ self.form.gradient(theta_P, self.sizes) / self.delta
        return (value, slope_P) if np.isfinite(slope_P).all() else (np.inf, np.zeros_like(theta_P))

    def descend(self, start_P: Floats, **options: float) -> tuple[float, Floats]:
        """L-BFGS within the bounds: the least value and where it is."""
        from scipy.optimize import minimize

        found = minimize(self, start_P, jac=True, method="L-BFGS-B", bounds=self.bounds, options=options)
        return float(found.fun), np.asarray(found.x, dtype=np.float64)

    def minimum(self, start_P: Floats) -> tuple[float, Floats]:
        """L-BFGS in directions in which the objective is about equally curved, else it creeps along a narrow valley.
        Parameters that leave their bounds are held there; where they should not be, the plain way is taken."""
        low, high = np.array(self.bounds).T
        held_P = np.zeros(len(start_P), dtype=np.bool_)
        theta_P = start_P
        while not held_P.all():
            value, theta_P = self._turned(theta_P, ~held_P)
            if not (np.isfinite(value) and np.isfinite(theta_P).all()):
                break
            outside_P = (theta_P < low) | (theta_P > high)
            if not outside_P.any():
                slope_P = self(theta_P)[1]
                inwards_P = np.where(theta_P <= low, -slope_P, slope_P)
                if not (inwards_P[held_P] > 1e-3).any():
                    return value, theta_P
                break
            held_P |= outside_P
            theta_P = np.clip(theta_P, low, high)
        return self.descend(start_P, **FINE)

    def _turned(self, start_P: Floats, free_P: NDArray[np.bool_]) -> tuple[float, Floats]:
        """The least value over some of the parameters, without bounds, and where it is."""
        from scipy.optimize import minimize

        directions_PF = np.zeros((len(start_P), int(free_P.sum())))
        directions_PF[free_P] = self._directions(start_P, free_P)

        def turned(steps_F: Floats) -> tuple[float, Floats]:
            value, slope_P = self(start_P + directions_PF @ steps_F)
            return value, directions_PF.T @ slope_P

        found = minimize(turned, np.zeros(directions_PF.shape[1]), jac=True, method="L-BFGS-B", options=FINE)
        return float(found.fun), start_P + directions_PF @ found.x

    def _directions(self, theta_P: Floats, free_P: NDArray[np.bool_]) -> Floats:
        """D with ``D^T H D = I``, H the Gauss-Newton approximation of the second derivatives by the free parameters."""
        errors_R = (self.form.log_loss(theta_P, self.sizes) - self.log_loss_R) / self.delta
        gradient_RF = self.form.gradient(theta_P, self.sizes)[:, free_P] / self.delta
        weights_R = 1.0 / np.maximum(1.0, np.abs(errors_R))
        values_F, vectors_FF = np.linalg.eigh(gradient_RF.T @ (weights_R[:, None] * gradient_RF))
        steepest = max(float(values_F[-1]), np.finfo(np.float64).tiny)
        scaled: Floats = vectors_FF / np.sqrt(np.maximum(values_F, FLATTEST * steepest))
        return scaled


def huber(errors: Floats, delta: float) -> Floats:
    """``e²/2`` up to δ, ``δ (|e| - δ/2)`` beyond."""
    size = np.abs(errors)
    return np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))
