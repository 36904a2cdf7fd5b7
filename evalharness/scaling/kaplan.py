"""Kaplan's forms of a scaling law: in parameters and tokens together, and in one size alone."""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np

from evalharness.scaling.forms import STEEPEST, Center, Form, JointForm, Sizes, exp
from evalharness.scaling.points import Floats


class KaplanJoint(JointForm):
    """``L(N, D) = [(N_c/N)^(alpha_N/alpha_D) + D_c/D]^alpha_D`` (Kaplan et al. 2020, arXiv 2001.08361, eq. 1.5).

    theta is (u, v, alpha_N, alpha_D): u is the logarithm of the loss of a model of the center's size with endless data,
    ``alpha_N log(N_c / N)``, and v that of an endless model with the center's tokens, ``alpha_D log(D_c / D)``.
    """

    name = "kaplan"
    formula = "L = [(N_c/N)^(alpha_N/alpha_D) + D_c/D]^alpha_D"
    source = "Kaplan et al. 2020, arXiv 2001.08361, eq. 1.5"
    symbols = ("N_c", "D_c", "alpha_N", "alpha_D")
    different = (("parameters", 2), ("tokens", 2))

    def log_loss(self, theta_SP: Floats, sizes: Sizes) -> Floats:
        first, second = self._terms(theta_SP, sizes)
        loss: Floats = theta_SP[..., 3, None] * np.logaddexp(first, second)
        return loss

    @staticmethod
    def _terms(theta_SP: Floats, sizes: Sizes) -> tuple[Floats, Floats]:
        u, v, alpha_n, alpha_d = (theta_SP[..., place, None] for place in range(4))
        return (u - alpha_n * sizes.parameters_R) / alpha_d, v / alpha_d - sizes.tokens_R

    def gradient(self, theta_P: Floats, sizes: Sizes) -> Floats:
        first, second = self._terms(theta_P, sizes)
        total = np.logaddexp(first, second)
        by_n, by_d = np.exp(first - total), np.exp(second - total)
        by_alpha_d = total - by_n * first - by_d * (second + sizes.tokens_R)
        return np.stack([by_n, by_d, -by_n * sizes.parameters_R, by_alpha_d], axis=-1)

    def starts(self, sizes: Sizes, log_loss_R: Floats, center: Center) -> Floats:
        exponents = (0.03, 0.06, 0.1, 0.2, 0.4, 0.8)
        middle = float(log_loss_R.mean())
        below = [middle - less for less in (0.02, 0.1, 0.3, 0.7, 1.5)]
        return np.array(list(product(below, below, exponents, exponents)))

    def bounds(self, log_loss_R: Floats) -> list[tuple[float, float]]:
        low, high = float(log_loss_R.min()) - 12.0, float(log_loss_R.max()) + 2.0
        return [(low, high), (low, high), (1e-4, STEEPEST), (1e-4, STEEPEST)]

    def published(self, theta_P: Floats, center: Center) -> dict[str, float]:
        u, v, alpha_n, alpha_d = theta_P.tolist()
        return {
            "N_c": exp(u / alpha_n + center.parameters),
            "D_c": exp(v / alpha_d + center.tokens),
            "alpha_N": alpha_n,
            "alpha_D": alpha_d,
        }

    def share(self, theta_SP: Floats, center: Center) -> tuple[Floats, Floats]:
        """With ``r = alpha_N / alpha_D`` the least of ``(N_c/N)^r + k N D_c / C`` is at
        ``N* = (r N_c^r / D_c)^(1/(1+r)) (C/k)^(1/(1+r))``."""
        u, v, alpha_n, alpha_d = np.moveaxis(theta_SP, -1, 0)
        ratio = alpha_n / alpha_d
        log_n_c, log_d_c = u / alpha_n + center.parameters, v / alpha_d + center.tokens
        return (np.log(ratio) + ratio * log_n_c - log_d_c) / (1 + ratio), 1 / (1 + ratio)


class PowerLaw(Form):
    """``L(X) = (X_c / X)^alpha`` over the runs that nothing else held back (Kaplan et al. 2020, eq. 1.1 to 1.3);
    theta is (u, alpha) with ``log L = u - alpha x``."""

    source = "Kaplan et al. 2020, arXiv 2001.08361, eq. 1.1 to 1.3"

    def __init__(self, of: Literal["parameters", "tokens", "compute"]) -> None:
        letter = {"parameters": "N", "tokens": "D", "compute": "C"}[of]
        self.of = of
        self.name = f"kaplan_{letter}"
        self.formula = f"L = ({letter}_c/{letter})^alpha_{letter}"
        self.symbols = (f"{letter}_c", f"alpha_{letter}")
        self.different = ((of, 3),)

    def _x(self, sizes: Sizes) -> Floats:
        found: Floats = getattr(sizes, f"{self.of}_R")
        return found

    def log_loss(self, theta_SP: Floats, sizes: Sizes) -> Floats:
        return theta_SP[..., 0, None] - theta_SP[..., 1, None] * self._x(sizes)

    def gradient(self, theta_P: Floats, sizes: Sizes) -> Floats:
        x = self._x(sizes)
        return np.stack([np.ones_like(x), -x], axis=-1)

    def starts(self, sizes: Sizes, log_loss_R: Floats, center: Center) -> Floats:
        slope, height = np.polyfit(self._x(sizes), log_loss_R, 1)
        return np.array([[height, max(1e-3, -slope)]])

    def bounds(self, log_loss_R: Floats) -> list[tuple[float, float]]:
        low, high = float(log_loss_R.min()) - 2.0, float(log_loss_R.max()) + 2.0
        return [(low, high), (1e-6, STEEPEST)]

    def published(self, theta_P: Floats, center: Center) -> dict[str, float]:
        u, alpha = theta_P.tolist()
        x_c = exp(u / alpha + float(getattr(center, self.of)))
        return dict(zip(self.symbols, (x_c, alpha), strict=True))
