"""The forms of scaling laws, as logarithms of a loss with their gradients.

Letters in names: R runs, S sets of parameters, P parameters of a form. Sizes enter as logarithms less the mean over the
runs that are fitted (`Sizes`), so that parameters of a form are told apart numerically as well as they can be.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from evalharness.scaling.points import Floats, Logs

LARGEST = 709.0
"""exp of it is still a finite double."""
STEEPEST = 3.0
"""Greatest exponent; measured ones are below 1."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Logarithms of N, D and C, each less its center."""

    parameters_R: Floats
    tokens_R: Floats
    compute_R: Floats


@dataclass(frozen=True, slots=True)
class Center:
    """What is taken from the logarithms."""

    parameters: float
    tokens: float
    compute: float

    @classmethod
    def of(cls, logs: Logs) -> Center:
        return cls(float(logs.parameters_R.mean()), float(logs.tokens_R.mean()), float(logs.compute_R.mean()))

    def sizes(self, logs: Logs) -> Sizes:
        return Sizes(logs.parameters_R - self.parameters, logs.tokens_R - self.tokens, logs.compute_R - self.compute)


class Form(ABC):
    """A scaling law whose parameters are sought. What is fitted are not the published parameters but others that the
    sizes' centers make independent of units; `published` says the former."""

    name: str
    formula: str
    source: str
    symbols: tuple[str, ...]
    """Names of the published parameters, one for each that is fitted."""
    different: tuple[tuple[str, int], ...]
    """How many different values of parameters, tokens or compute the runs must have."""

    @abstractmethod
    def log_loss(self, theta_SP: Floats, sizes: Sizes) -> Floats:
        """[S, R]."""

    @abstractmethod
    def gradient(self, theta_P: Floats, sizes: Sizes) -> Floats:
        """Of the logarithm of the loss by each parameter, [R, P]."""

    @abstractmethod
    def starts(self, sizes: Sizes, log_loss_R: Floats, center: Center) -> Floats:
        """Where to begin, [S, P]."""

    @abstractmethod
    def bounds(self, log_loss_R: Floats) -> list[tuple[float, float]]:
        """Least and greatest value of each parameter."""

    @abstractmethod
    def published(self, theta_P: Floats, center: Center) -> dict[str, float]:
        """By symbol."""

    def at_bound(self, theta_P: Floats, log_loss_R: Floats) -> list[str]:
        """What the runs do not determine, as sentences."""
        found = []
        for value, (low, high), what in zip(theta_P, self.bounds(log_loss_R), self.symbols, strict=True):
            if min(value - low, high - value) <= 1e-6 * (high - low):
                found.append(f"{what} is at the end of what is allowed: these runs do not determine it.")
        return found


class JointForm(Form):
    """One that tells how to share operations between parameters and tokens."""

    @abstractmethod
    def share(self, theta_SP: Floats, center: Center) -> tuple[Floats, Floats]:
        """Of ``log N* = g + exponent log(C / k)``, the least loss where ``C = k N D``: g and the exponent, [S] each."""


def exp(value: float) -> float:
    """Infinite where it is too great for a double."""
    return math.exp(value) if value < LARGEST else math.inf
