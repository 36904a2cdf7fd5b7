"""Chinchilla's form of a scaling law."""

from __future__ import annotations

from itertools import product
from typing import ClassVar

import numpy as np

from evalharness.scaling.forms import STEEPEST, Center, JointForm, Sizes, exp
from evalharness.scaling.points import Floats


class Chinchilla(JointForm):
    """``L(N, D) = E + A / N^alpha + B / D^beta``, approach 3 of Hoffmann et al. 2022 (arXiv 2203.15556, 3.3).

    Its logarithm is ``logsumexp(e, a - alpha x, b - beta y)`` with x and y the centered logarithms of N and D; theta is
    (e, a, b, alpha, beta).
    """

    name = "chinchilla"
    formula = "L = E + A/N^alpha + B/D^beta"
    source = "Hoffmann et al. 2022, arXiv 2203.15556, approach 3"
    symbols = ("E", "A", "B", "alpha", "beta")
    different = (("parameters", 3), ("tokens", 3))
    GRID: ClassVar[tuple[tuple[float, ...], ...]] = (
        (-1.0, -0.5, 0.0, 0.5, 1.0),  # log E
        (0.0, 5.0, 10.0, 15.0, 20.0, 25.0),  # log A
        (0.0, 5.0, 10.0, 15.0, 20.0, 25.0),  # log B
        (0.0, 0.5, 1.0, 1.5, 2.0),  # alpha
        (0.0, 0.5, 1.0, 1.5, 2.0),  # beta
    )
    """Where Hoffmann et al. began: all 4,500 combinations (appendix D.3)."""
    EXPONENTS: ClassVar[Floats] = np.geomspace(0.03, 2.0, 24)
    """Of which all pairs are tried with E, A and B by least squares (`_projected`)."""

    def log_loss(self, theta_SP: Floats, sizes: Sizes) -> Floats:
        total: Floats = np.logaddexp.reduce(self._terms(theta_SP, sizes), axis=0)
        return total

    @staticmethod
    def _terms(theta_SP: Floats, sizes: Sizes) -> Floats:
        e, a, b, alpha, beta = (theta_SP[..., place, None] for place in range(5))
        first, second = a - alpha * sizes.parameters_R, b - beta * sizes.tokens_R
        return np.stack([np.broadcast_to(e, first.shape), first, second])

    def gradient(self, theta_P: Floats, sizes: Sizes) -> Floats:
        terms = self._terms(theta_P, sizes)
        e, a, b = np.exp(terms - np.logaddexp.reduce(terms, axis=0))
        return np.stack([e, a, b, -a * sizes.parameters_R, -b * sizes.tokens_R], axis=-1)

    def starts(self, sizes: Sizes, log_loss_R: Floats, center: Center) -> Floats:
        grid = np.array(list(product(*self.GRID)))
        grid[:, 1] -= grid[:, 3] * center.parameters
        grid[:, 2] -= grid[:, 4] * center.tokens
        return np.concatenate([self._projected(sizes, log_loss_R), grid])

    def _projected(self, sizes: Sizes, log_loss_R: Floats) -> Floats:
        """For each pair of exponents, E, A and B by least squares of relative errors, where all are above 0 (variable
        projection, Golub and Pereyra 1973)."""
        pairs = np.array(list(product(self.EXPONENTS, self.EXPONENTS)))
        inverse_R = np.exp(-log_loss_R)
        columns = [np.ones((len(pairs), len(inverse_R)))]
        columns += [np.exp(-pairs[:, :1] * sizes.parameters_R), np.exp(-pairs[:, 1:] * sizes.tokens_R)]
        design = np.stack(columns, axis=-1) * inverse_R[:, None]
        linear = np.linalg.pinv(design) @ np.ones(len(inverse_R))
        possible = (linear > 0).all(axis=1)
        return np.concatenate([np.log(linear[possible]), pairs[possible]], axis=1)

    def bounds(self, log_loss_R: Floats) -> list[tuple[float, float]]:
        low, high = float(log_loss_R.min()) - 12.0, float(log_loss_R.max()) + 2.0
        return [(low, high), (low, high), (low, high), (0.0, STEEPEST), (0.0, STEEPEST)]

    def published(self, theta_P: Floats, center: Center) -> dict[str, float]:
        e, a, b, alpha, beta = theta_P.tolist()
        return {
            "E": exp(e),
            "A": exp(a + alpha * center.parameters),
            "B": exp(b + beta * center.tokens),
            "alpha": alpha,
            "beta": beta,
        }

    def share(self, theta_SP: Floats, center: Center) -> tuple[Floats, Floats]:
        """``N* = G (C/k)^(beta/(alpha+beta))`` with ``G = (alpha A / (beta B))^(1/(alpha+beta))`` (their eq. 4)."""
        _, a, b, alpha, beta = np.moveaxis(theta_SP, -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_a, log_b = a + alpha * center.parameters, b + beta * center.tokens
            return (np.log(alpha) + log_a - np.log(beta) - log_b) / (alpha + beta), beta / (alpha + beta)
